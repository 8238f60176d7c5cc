//! The texts that stand for the values of an option.

/// Names the values of an option, for [`std::str::FromStr`] and [`std::fmt::Display`].
macro_rules! names {
    ($type:ty, $what:literal, $($name:literal => $value:path),+ $(,)?) => {
        impl std::str::FromStr for $type {
            type Err = $crate::error::Error;

            fn from_str(name: &str) -> $crate::error::Result<Self> {
                match name {
                    $($name => Ok($value),)+
                    _ => Err($crate::error::Error::invalid($what, name, ["one of", $($name),+].join(" "))),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str(match self {
                    $($value => $name,)+
                })
            }
        }
    };
}
pub(crate) use names;
