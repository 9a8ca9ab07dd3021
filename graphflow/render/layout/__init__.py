"""Where things stand: the program that lays DOT out, and what is improved in what it has laid out."""
