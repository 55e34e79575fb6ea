//! Everything on one machine: the quorate command.
