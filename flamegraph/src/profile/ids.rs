//! Indices into a profile's tables.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::num::NonZeroU32;

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Kept as index + 1, so that an `Option` of it takes no more room.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The entry at `index`; `None` past what a table can hold.
            fn new(index: usize) -> Option<Self> {
                let number = u32::try_from(index).ok()?.checked_add(1)?;
                NonZeroU32::new(number).map(Self)
            }

            /// The entry at `index` of a table that is held to its limit.
            pub(crate) fn at(index: usize) -> Self {
                Self::new(index).expect("the limits keep tables far below 2³² entries")
            }

            /// Where the entry stands in its table.
            #[must_use]
            pub fn index(self) -> usize {
                (self.0.get() - 1) as usize
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u32(self.0.get() - 1)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let index = u32::deserialize(deserializer)?;
                Self::new(index as usize)
                    .ok_or_else(|| serde::de::Error::custom("an index past any table"))
            }
        }
    };
}

index! {
    /// A string of a profile.
    StringId
}
index! {
    /// A frame of a profile.
    FrameId
}
index! {
    /// A stack of a profile: a frame and the stack that called it.
    StackId
}
index! {
    /// A kind of task.
    KindId
}
index! {
    /// A task.
    TaskId
}
index! {
    /// A thread.
    ThreadId
}
