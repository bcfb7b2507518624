//! How a family of calls is declared, once: `host_calls!` makes everything of that.

use khronos::KhronosValue;
use khronos::declare::{Function, Type};

/// A call, as it is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// The function that scripts see.
    pub function: Function,
    /// The form of the capability that gates it, as in the closed list; empty where nothing does.
    pub capability: &'static str,
    /// The rates that it counts against.
    pub buckets: &'static [Bucket],
    /// Whether it changes something that people see, or may: then the operator's log tells of it. What templates remember is
    /// their own, and changes all the time.
    pub changes: bool,
}

/// A rate that calls of a guild count against: so many at once, and one more each so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// Its name, for the text that says that it is empty.
    pub name: &'static str,
    /// How many at once.
    pub burst: u32,
    /// Milliseconds until there is one more.
    pub every_ms: u32,
}

/// A family, as it is declared.
#[derive(Debug, Clone, Copy)]
pub struct DeclaredFamily {
    /// Where scripts find it.
    pub object: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Its calls.
    pub calls: &'static [Declared],
    /// The tables and objects that they take and give.
    pub types: &'static [Type],
    /// What the object has beside its calls. A call that is a method of one of `types` is found there, and not on the object.
    pub beside: Option<&'static Type>,
    /// Another object with the same calls, and what it has beside them.
    pub extended: Option<&'static Type>,
}

impl DeclaredFamily {
    /// The type that has this call as a method, where it is not the object itself.
    pub fn place_of(&self, call: &Declared) -> Option<&'static Type> {
        self.types.iter().find(|ty| ty.methods.iter().any(|method| method.name == call.function.name))
    }
}

/// A family of calls.
pub trait Family: Sized {
    /// Where scripts find it: `KV`, `DataStores.StatsStore`.
    const OBJECT: &'static str;
    /// What it is for.
    const DOC: &'static str;
    /// Its calls.
    const CALLS: &'static [Declared];
    /// The tables and objects that they take and give.
    const TYPES: &'static [Type] = &[];
    /// What the object has beside its calls.
    const BESIDE: Option<&'static Type> = None;
    /// Another object with the same calls, and what it has beside them.
    const EXTENDED: Option<&'static Type> = None;
    /// Their names, in the same order.
    const NAMES: &'static [&'static str];

    /// The call with this number in [`CALLS`](Self::CALLS), with these arguments.
    ///
    /// # Errors
    /// Says which argument is wrong, and what was expected.
    fn from_arguments(number: usize, arguments: Vec<KhronosValue>) -> Result<Self, String>;

    /// Which one it is.
    fn declared(&self) -> &'static Declared;

    /// The capabilities that it takes, all of them.
    fn wants(&self) -> Vec<String>;

    /// How many calls it counts as against each of its rates.
    fn weight(&self) -> u32 {
        1
    }

    /// Which things it names, for the operator's log: short, and without contents.
    fn names(&self) -> String {
        String::new()
    }
}

/// The beginning of a name that a template chose, as long as a line of a log can bear.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(100).collect()
}

/// Declares a family. Its capabilities and rates are said in `impl Gated`, beside it.
macro_rules! host_calls {
    (@rates $of_family:expr) => { &$of_family };
    (@rates $of_family:expr, $own:expr) => { &$own };
    (@changes) => { false };
    (@changes $changes:literal) => { $changes };
    (
        $(#[doc = $about:literal])+
        pub enum $family:ident in $object:literal {
            $(
                $(#[doc = $doc:literal])+
                $variant:ident $name:literal (
                    $( $(#[doc = $of:literal])+ $parameter:ident: $type:ty ),* $(,)?
                ) -> $returns:literal, gated $capability:literal
                    $(, rated $rates:expr)? $(, changes $changes:literal)?;
            )+
        }
        wants($wants:ident) $wanted:block
        $( weight($weighed:ident) $weight:block )?
        $( names($named:ident) $names:block )?
        buckets $buckets:expr;
        $( types $types:expr; )?
        $( beside $beside:expr; )?
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub enum $family {
            $(
                $(#[doc = $doc])+
                $variant { $( $(#[doc = $of])+ $parameter: $type, )* },
            )+
        }

        impl $crate::host::calls::Family for $family {
            const OBJECT: &'static str = $object;
            const DOC: &'static str = concat!($($about, "\n"),+);
            const NAMES: &'static [&'static str] = &[$($name),+];
            $( const TYPES: &'static [khronos::declare::Type] = $types; )?
            $( const BESIDE: Option<&'static khronos::declare::Type> = Some(&$beside); )?
            const CALLS: &'static [$crate::host::calls::Declared] = &[
                $( $crate::host::calls::Declared {
                    function: khronos::declare::Function {
                        name: $name,
                        doc: concat!($($doc, "\n"),+),
                        parameters: &[
                            $( khronos::declare::Parameter {
                                name: stringify!($parameter),
                                ty: <$type as $crate::host::calls::Argument>::LUAU,
                                doc: concat!($($of, "\n"),+),
                            }, )*
                        ],
                        returns: $returns,
                    },
                    capability: $capability,
                    buckets: host_calls!(@rates $buckets $(, $rates)?),
                    changes: host_calls!(@changes $($changes)?),
                }, )+
            ];

            fn from_arguments(number: usize, arguments: Vec<khronos::KhronosValue>) -> Result<Self, String> {
                let declared = Self::CALLS.get(number).ok_or("there is no such function")?;
                let arguments = $crate::host::calls::Arguments::new(&declared.function, arguments);
                let call = match declared.function.name {
                    $( $name => Self::$variant { $( $parameter: arguments.take()?, )* }, )+
                    _ => return Err("there is no such function".to_owned()),
                };
                arguments.end()?;
                Ok(call)
            }

            fn declared(&self) -> &'static $crate::host::calls::Declared {
                let name = match self { $( Self::$variant { .. } => $name, )+ };
                let at = Self::NAMES.iter().position(|known| *known == name).unwrap_or_default();
                &Self::CALLS[at]
            }

            fn wants(&self) -> Vec<String> {
                let $wants = self;
                $wanted
            }

            $( fn weight(&self) -> u32 {
                let $weighed = self;
                $weight
            } )?

            $( fn names(&self) -> String {
                let $named = self;
                $names
            } )?
        }
    };
}
pub(crate) use host_calls;
