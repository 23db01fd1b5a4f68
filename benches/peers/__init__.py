"""What a user would run instead: the peers, each in its documented fast form."""
