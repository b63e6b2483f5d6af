//! One macro for the bit sets that describe offloads and RSS types.
//!
//! Invariant: a set holds DPDK's own bit values, so it converts to and from the library without a table; bits this crate
//! has no name for survive in `bits()` but are never set by name.

macro_rules! bit_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $value:expr, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(u64);

        impl $name {
            $($(#[$item_doc])* pub const $item: Self = Self($value);)*

            /// The empty set.
            #[must_use]
            pub const fn empty() -> Self {
                Self(0)
            }

            /// Every bit that has a name here.
            #[must_use]
            pub const fn all() -> Self {
                Self(0 $(| $value)*)
            }

            /// A set from DPDK's bits.
            #[must_use]
            pub const fn from_bits(bits: u64) -> Self {
                Self(bits)
            }

            /// DPDK's bits.
            #[must_use]
            pub const fn bits(self) -> u64 {
                self.0
            }

            /// Whether nothing is set.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Whether all of `other` is in this set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// What both sets hold.
            #[must_use]
            pub const fn intersection(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }

            /// What this set holds and `other` does not.
            #[must_use]
            pub const fn difference(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// The names of the named bits, in bit-definition order.
            #[must_use]
            pub fn names(self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.contains(Self::$item) { names.push($text); })*
                names
            }

            /// The set with this name, as `names` writes it.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$item),)*
                    _ => None,
                }
            }
        }

        impl core::ops::BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl core::ops::BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }

        impl core::ops::BitAnd for $name {
            type Output = Self;
            fn bitand(self, other: Self) -> Self {
                self.intersection(other)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}({:#x} {})", stringify!($name), self.0, self.names().join("|"))
            }
        }
    };
}

pub(crate) use bit_set;
