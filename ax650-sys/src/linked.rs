//! The vendor's functions in a build that is linked with its SDK (`AX650_SDK_DIR`).
//!
//! All functions are declared, but only those that `crate::table` requires are referred to: an SDK that lacks one of
//! them does not link, and the linker names it.

macro_rules! declare {
    ($(fn $name:ident($($parameter:ident: $type:ty),*) -> $result:ty;)* $(variadic fn $variadic:ident($($fixed:ident: $fixed_type:ty),*) -> $variadic_result:ty; $(fn $more:ident($($more_parameter:ident: $more_type:ty),*) -> $more_result:ty;)*)*) => {
        unsafe extern "C" {
            $(pub(crate) fn $name($($parameter: $type),*) -> $result;)*
            $($(pub(crate) fn $more($($more_parameter: $more_type),*) -> $more_result;)*)*
        }
    };
}

/// AXCL.
#[cfg(linked_pcie)]
#[expect(dead_code, reason = "optional functions are looked up by name")]
pub(crate) mod pcie {
    crate::pcie_functions!(declare);
}

/// `AX_SYS` and `AX_ENGINE`.
#[cfg(linked_board)]
#[expect(dead_code, reason = "optional functions are looked up by name")]
pub(crate) mod board {
    crate::board_functions!(declare);
}
