"""Writes special.csv: special functions to 25 digits by mpmath, at arguments that are doubles.

    python -m venv venv && venv/bin/pip install mpmath==1.4.1 && venv/bin/python special.py > special.csv

Arguments are drawn with a fixed seed over the ranges that fits and reports use and far beyond,
deep tails included. Probabilities below 1e-290 are left out: they are no normal doubles.
"""

import random

import mpmath as mp

mp.mp.dps = 50
rng = random.Random(20260120)
LEAST = mp.mpf("1e-290")


def log_uniform(low, high):
    return float(mp.exp(rng.uniform(float(mp.log(low)), float(mp.log(high)))))


def inc_beta(a, b, x):
    return mp.betainc(a, b, 0, x, regularized=True)


def line(function, a, b, x, value):
    if value == 0 or abs(value) < LEAST or abs(value) == mp.inf:
        return False
    print(f"{function},{a!r},{b!r},{x!r},{mp.nstr(value, 25, strip_zeros=False)}")
    return True



def shapes(high):
    if rng.random() < 0.5:  # tallies: whole numbers plus one
        return float(rng.randint(1, 300)), float(rng.randint(1, 300))
    return log_uniform(1e-2, high), log_uniform(1e-2, high)


def near(a, b):
    """A rate around the mean of Beta(a, b), or anywhere."""
    mean, sd = a / (a + b), (a * b / (a + b) ** 2 / (a + b + 1)) ** 0.5
    x = mean + rng.uniform(-12, 12) * sd
    return x if rng.random() < 0.8 and 0 < x < 1 else rng.random()


def fill(count, make):
    done = 0
    while done < count:
        done += bool(make())


def make_inc_beta():
    a, b = shapes(1e4)
    x = near(a, b)
    return line("inc_beta", a, b, x, inc_beta(mp.mpf(a), mp.mpf(b), mp.mpf(x)))


def make_inv_inc_beta():
    a, b = shapes(1e3)
    x = near(a, b)
    p = float(inc_beta(mp.mpf(a), mp.mpf(b), mp.mpf(x)))
    if not 1e-280 < p < 1 - 1e-6:
        return False
    fa, fb, fp = mp.mpf(a), mp.mpf(b), mp.mpf(p)
    root = mp.mpf(x)
    for _ in range(6):  # Newton from a start that is right to 16 digits
        density = mp.exp((fa - 1) * mp.log(root) + (fb - 1) * mp.log(1 - root)) / mp.beta(fa, fb)
        root -= (inc_beta(fa, fb, root) - fp) / density
    if not 0 < root < 1 or abs(inc_beta(fa, fb, root) / fp - 1) > mp.mpf(10) ** -30:
        return False
    return line("inv_inc_beta", a, b, p, root)


def make_ln_beta():
    a, b = log_uniform(1e-3, 1e7), log_uniform(1e-3, 1e7)
    return line("ln_beta", a, b, 0.0, mp.log(mp.beta(mp.mpf(a), mp.mpf(b))))


def make_ln_gamma():
    x = log_uniform(1e-3, 1e8)
    return line("ln_gamma", x, 0.0, 0.0, mp.loggamma(mp.mpf(x)))


def make_inc_gamma_upper():
    a = log_uniform(1e-2, 1e4)
    x = max(1e-6, a + rng.uniform(-8, 20) * a**0.5)
    return line("inc_gamma_upper", a, 0.0, x, mp.gammainc(mp.mpf(a), mp.mpf(x), mp.inf, regularized=True))


def make_chi_square_sf():
    df = float(rng.randint(1, 400))
    x = max(1e-6, df + rng.uniform(-5, 15) * (2 * df) ** 0.5)
    return line("chi_square_sf", df, 0.0, x, mp.gammainc(mp.mpf(df) / 2, mp.mpf(x) / 2, mp.inf, regularized=True))


def make_normal_cdf():
    x = rng.uniform(-36, 8)
    return line("normal_cdf", 0.0, 0.0, x, mp.erfc(-mp.mpf(x) / mp.sqrt(2)) / 2)


def make_normal_quantile():
    p = log_uniform(1e-290, 0.5) if rng.random() < 0.6 else rng.uniform(1e-6, 0.999999)
    root = mp.mpf(0)
    low, high = mp.mpf(-40), mp.mpf(10)
    fp = mp.mpf(p)
    for _ in range(60):
        root = (low + high) / 2
        if mp.erfc(-root / mp.sqrt(2)) / 2 < fp:
            low = root
        else:
            high = root
    for _ in range(5):
        root -= (mp.erfc(-root / mp.sqrt(2)) / 2 - fp) / (mp.exp(-root * root / 2) / mp.sqrt(2 * mp.pi))
    return line("normal_quantile", 0.0, 0.0, p, root)


def student(t, df):
    x = df / (df + t * t)
    tail = inc_beta(df / 2, mp.mpf(1) / 2, x) / 2
    return tail if t < 0 else 1 - tail


def make_student_t_cdf():
    df = float(rng.randint(1, 2000)) if rng.random() < 0.7 else log_uniform(0.5, 1e5)
    t = rng.uniform(-12, 6)
    return line("student_t_cdf", df, 0.0, t, student(mp.mpf(t), mp.mpf(df)))


def make_student_t_quantile():
    df = float(rng.randint(1, 2000)) if rng.random() < 0.7 else log_uniform(0.5, 1e4)
    start = rng.uniform(-12, 4)
    p = float(student(mp.mpf(start), mp.mpf(df)))
    fd, fp, root = mp.mpf(df), mp.mpf(p), mp.mpf(start)
    for _ in range(6):
        density = mp.gamma((fd + 1) / 2) / mp.gamma(fd / 2) / mp.sqrt(fd * mp.pi) * (1 + root * root / fd) ** (-(fd + 1) / 2)
        root -= (student(root, fd) - fp) / density
    if abs(student(root, fd) / fp - 1) > mp.mpf(10) ** -30:
        return False
    return line("student_t_quantile", df, 0.0, p, root)


print("function,a,b,x,value")
fill(600, make_inc_beta)
fill(300, make_inv_inc_beta)
fill(200, make_ln_beta)
fill(200, make_ln_gamma)
fill(200, make_inc_gamma_upper)
fill(100, make_chi_square_sf)
fill(200, make_normal_cdf)
fill(200, make_normal_quantile)
fill(150, make_student_t_cdf)
fill(100, make_student_t_quantile)
