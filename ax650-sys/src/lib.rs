//! Raw declarations of the Axera runtime interfaces, their loader, and the generation loop in C.
