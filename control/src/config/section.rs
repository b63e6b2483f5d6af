//! The macros the model is written with: one line per key, one line per word.
//!
//! Invariant: there is no second list of keys or words anywhere; everything that needs one asks the type.

/// A mapping with known keys: the struct, its decoder, its description.
macro_rules! section {
    ($(
        $(#[doc = $doc:literal])+
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])+
                $key:literal $field:ident: $ty:ty = $spec:expr;
            )+
        }
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name {
            $(
                $(#[doc = $field_doc])+
                pub $field: $ty,
            )+
        }

        impl $crate::config::value::Value for $name {
            const EMPTY_ALLOWED: bool = true;

            fn decode(
                node: &$crate::config::node::Node,
                _rule: &$crate::config::spec::Rule,
                cx: &mut $crate::config::decoder::Decoder<'_>,
            ) -> Self {
                let mut mapping = cx.mapping(node, &[$($key),+]);
                Self { $($field: mapping.field::<$ty>($key, $spec)),+ }
            }

            fn placeholder() -> Self {
                use $crate::config::value::Value;
                Self { $($field: {
                    let spec: $crate::config::spec::Spec<$ty> = $spec;
                    spec.default.unwrap_or_else(<$ty as Value>::placeholder)
                }),+ }
            }

            fn to_json(&self) -> serde_json::Value {
                use $crate::config::value::Value;
                let mut map = serde_json::Map::new();
                $(map.insert($key.into(), Value::to_json(&self.$field));)+
                serde_json::Value::Object(map)
            }

            fn shape(_rule: &$crate::config::spec::Rule) -> $crate::config::spec::Shape {
                use $crate::config::spec::{Field, Section, Shape, paragraph};
                Shape::Section(Section {
                    doc: paragraph(&[$($doc),+]),
                    fields: vec![$(Field::new::<$ty>($key, &[$($field_doc),+], $spec)),+],
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::config::value::Value::to_json(self).serialize(serializer)
            }
        }
    )+};
}

/// One of a few words. The first is what a placeholder uses. `refuse` words are known but not available.
macro_rules! choice {
    (
        $(#[doc = $doc:literal])+
        pub enum $name:ident {
            $($(#[doc = $word_doc:literal])+ $variant:ident = $word:literal,)+
        }
        $(refuse [$($refused:literal),+] $instead:literal)?
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[doc = $word_doc])+ $variant,)+
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in YAML.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl $crate::config::value::Choice for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];
            const REFUSED: &'static [&'static str] = &[$($($refused),+)?];
            const REMEDY: &'static str = concat!("", $($instead)?);
        }

        impl $crate::config::value::Value for $name {
            fn decode(
                node: &$crate::config::node::Node,
                _rule: &$crate::config::spec::Rule,
                cx: &mut $crate::config::decoder::Decoder<'_>,
            ) -> Self {
                $crate::config::value::decode_choice(node, cx)
            }

            fn placeholder() -> Self {
                <Self as $crate::config::value::Choice>::WORDS[0].1
            }

            fn to_json(&self) -> serde_json::Value {
                self.word().into()
            }

            fn shape(_rule: &$crate::config::spec::Rule) -> $crate::config::spec::Shape {
                $crate::config::value::choice_shape::<Self>()
            }
        }
    };
}

/// A type that is written as one scalar: needs `FromStr<Err = Wrong>` and `Display`.
macro_rules! text_value {
    ($name:ty, $kind:literal, $placeholder:expr) => {
        impl $crate::config::value::Value for $name {
            fn decode(
                node: &$crate::config::node::Node,
                _rule: &$crate::config::spec::Rule,
                cx: &mut $crate::config::decoder::Decoder<'_>,
            ) -> Self {
                $crate::config::value::decode_text(node, $kind, cx).unwrap_or_else(|| $placeholder)
            }

            fn placeholder() -> Self {
                $placeholder
            }

            fn to_json(&self) -> serde_json::Value {
                self.to_string().into()
            }

            fn shape(_rule: &$crate::config::spec::Rule) -> $crate::config::spec::Shape {
                $crate::config::spec::Shape::Plain {
                    kind: $kind.into(),
                    schema: serde_json::json!({ "type": "string" }),
                }
            }
        }
    };
}

pub(crate) use {choice, section, text_value};
