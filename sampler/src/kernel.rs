//! Names of kernel functions.

/// The kernel's own functions, by address.
#[derive(Default)]
pub(crate) struct KernelSymbols {
    /// Sorted by address.
    symbols: Vec<(u64, Box<str>)>,
}

impl std::fmt::Debug for KernelSymbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KernelSymbols({})", self.symbols.len())
    }
}

impl KernelSymbols {
    /// Reads `/proc/kallsyms`. Empty where the addresses are hidden
    /// (`kptr_restrict`).
    pub fn load() -> Self {
        std::fs::read_to_string("/proc/kallsyms")
            .map(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let mut symbols: Vec<(u64, Box<str>)> = text
            .lines()
            .filter_map(|line| {
                let mut fields = line.split_ascii_whitespace();
                let address = u64::from_str_radix(fields.next()?, 16).ok()?;
                let kind = fields.next()?;
                let is_code = matches!(kind, "t" | "T" | "w" | "W");
                (is_code && address != 0).then_some((address, fields.next()?.into()))
            })
            .collect();
        symbols.sort_by_key(|(address, _)| *address);
        Self { symbols }
    }

    /// The function at `address`.
    pub fn name(&self, address: u64) -> Option<&str> {
        let index = self.symbols.partition_point(|(start, _)| *start <= address);
        self.symbols
            .get(index.checked_sub(1)?)
            .map(|(_, name)| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_function_before_it() {
        let symbols = KernelSymbols::parse(
            "ffffffff81000000 T _text\nffffffff81000100 t do_syscall\nffffffff81000180 d data\n",
        );
        assert_eq!(symbols.name(0xffff_ffff_8100_0120), Some("do_syscall"));
        assert_eq!(symbols.name(1), None);
    }

    #[test]
    fn hidden_addresses_give_no_names() {
        let symbols = KernelSymbols::parse("0000000000000000 T _text\n");
        assert_eq!(symbols.name(0xffff_ffff_8100_0120), None);
    }
}
