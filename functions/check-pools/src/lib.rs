//! A tick asks the crowd how its pools stand.
