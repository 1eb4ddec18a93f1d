//! Names of kernel functions.

/// The kernel's own functions, by address.
#[derive(Default)]
pub(crate) struct KernelSymbols {
    /// Sorted by address; each with where its name stands in `names`.
    symbols: Vec<Symbol>,
    /// All names, one after the other.
    names: String,
}

impl std::fmt::Debug for KernelSymbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KernelSymbols({})", self.symbols.len())
    }
}

/// There are some two hundred thousand: they are kept small.
#[derive(Debug, Clone, Copy)]
struct Symbol {
    address: u64,
    start: u32,
    length: u32,
}

impl KernelSymbols {
    /// Reads `/proc/kallsyms`, which takes some hundred milliseconds: the kernel
    /// writes it anew for each reader. Empty where the addresses are hidden
    /// (`kptr_restrict`).
    pub fn load() -> Self {
        std::fs::read_to_string("/proc/kallsyms")
            .map(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            // A line without code has nothing to add.
            let _ = found.add(line);
        }
        found.symbols.sort_by_key(|symbol| symbol.address);
        found.names.shrink_to_fit();
        found
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let mut fields = line.split_ascii_whitespace();
        let address = u64::from_str_radix(fields.next()?, 16).ok()?;
        let is_code = matches!(fields.next()?, "t" | "T" | "w" | "W");
        if !is_code || address == 0 {
            return None;
        }
        let name = fields.next()?;
        self.symbols.push(Symbol {
            address,
            start: u32::try_from(self.names.len()).ok()?,
            length: u32::try_from(name.len()).ok()?,
        });
        self.names.push_str(name);
        Some(())
    }

    /// The function at `address`.
    pub fn name(&self, address: u64) -> Option<&str> {
        let after = self.symbols.partition_point(|s| s.address <= address);
        let symbol = self.symbols.get(after.checked_sub(1)?)?;
        let start = symbol.start as usize;
        self.names.get(start..start + symbol.length as usize)
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
