"""How the loss is curved where a network stands: eigenvalues, trace and spectrum of its Hessian, critical points."""
