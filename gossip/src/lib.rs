//! How any lattice spreads and heals between peers: membership, rumor, repair, watermarks, budgets.
