"""What can be known of GPU kernels without a GPU: compiled offline, executed as PTX, counted. See README.md."""
