//! Names the library as the vendor-named ones ask for it.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libax650_sim.so");
    // A program that has a software card of its own built in must not meet this one's symbols.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic");
    // Threads of the card outlive a `dlclose`.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
