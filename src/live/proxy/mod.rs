//! The proxy: one decision thread, the same balancer as in the simulator, blocking attempts.
