"""Makes groups of the configurations of ucarp and of keepalived."""
