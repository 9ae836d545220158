"""What annotation tools write, one module a family: how each is recognised by its content, and how it is read."""
