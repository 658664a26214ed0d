"""How people and other systems are told of cases: messages by e-mail and by webhook. Nothing here is kept."""
