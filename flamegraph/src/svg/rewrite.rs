//! Puts names, colours and tooltips into the picture that inferno laid out.
//!
//! inferno colours boxes by their name alone, and knows nothing of what a frame
//! is. So it gets numbers for names, and this pass, which reads its output as
//! XML and writes it again, gives every box the name, colour and tooltip of its
//! node, and the picture its own head. Zooming and searching stay inferno's.

use super::header::{self, Chip, Text};
use super::label;
use crate::error::Error;
use crate::fold::Node;
use crate::printable::printable;
use quick_xml::events::{BytesCData, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer, XmlVersion};
use std::borrow::Cow;

/// What becomes part of the picture.
pub(super) struct Picture<'a> {
    pub(super) nodes: &'a [Node],
    /// The drawn nodes, by the number that inferno knows them by.
    pub(super) boxes: &'a [usize],
    pub(super) texts: Vec<Text>,
    pub(super) legend: Vec<Chip>,
    /// How each node looks, and what it says.
    pub(super) paint: &'a dyn Fn(usize) -> Paint,
    /// How far the boxes move, so that there is room for the head.
    pub(super) shift: i64,
    /// How many letters fit into the whole width, without a script to measure.
    pub(super) letters: f64,
}

/// How a box looks.
pub(crate) struct Paint {
    /// For the style.
    pub(crate) class: &'static str,
    pub(crate) color: String,
    pub(crate) tooltip: String,
}

type Xml = Writer<Vec<u8>>;

impl Picture<'_> {
    /// Reads inferno's `svg` and writes ours.
    pub(super) fn finish(&self, svg: &str) -> Result<String, Error> {
        let mut reader = Reader::from_str(svg);
        let mut out = Writer::new(Vec::with_capacity(svg.len() * 2));
        loop {
            match reader.read_event().map_err(drawing)? {
                Event::Eof => break,
                Event::Start(start) if start.name().as_ref() == b"svg" => {
                    self.outer_or_inner(&start, &mut out)?;
                }
                Event::Start(start) if start.name().as_ref() == b"g" => {
                    let inside = until_end(&mut reader, b"g")?;
                    self.a_box(&inside, &mut out)?;
                }
                Event::Start(start) if start.name().as_ref() == b"text" => {
                    let inside = until_end(&mut reader, b"text")?;
                    self.a_text(&start, inside, &mut out)?;
                }
                Event::Empty(empty) if is_background(&empty) => {
                    let mut rect = BytesStart::new("rect");
                    rect.extend_attributes([
                        ("width", "100%"),
                        ("height", "100%"),
                        ("fill", "#ffffff"),
                    ]);
                    write(&mut out, Event::Empty(rect))?;
                    self.head(&mut out)?;
                }
                Event::End(end) if matches!(end.name().as_ref(), b"style" | b"script") => {
                    let which = end.name().as_ref() == b"style";
                    write(&mut out, Event::End(end))?;
                    if which {
                        style(&mut out)?;
                    } else {
                        script(&mut out)?;
                    }
                }
                Event::Comment(_) | Event::DocType(_) => {}
                event => write(&mut out, event)?,
            }
        }
        String::from_utf8(out.into_inner()).map_err(drawing)
    }

    /// The picture itself, or the part of it with the boxes.
    fn outer_or_inner(&self, start: &BytesStart<'_>, out: &mut Xml) -> Result<(), Error> {
        let is_inner = attribute(start, "id")?.as_deref() == Some("frames");
        let mut svg = BytesStart::new("svg");
        for (key, value) in attributes(start)? {
            let value = match &*key {
                "height" => self.taller(&value).to_string(),
                "viewBox" => match value.rsplit_once(' ') {
                    Some((rest, height)) => format!("{rest} {}", self.taller(height)),
                    None => value,
                },
                _ => value,
            };
            svg.push_attribute((&*key, &*value));
        }
        if is_inner {
            svg.push_attribute(("y", &*self.shift.to_string()));
        }
        write(out, Event::Start(svg))
    }

    fn taller(&self, height: &str) -> i64 {
        height.parse().unwrap_or(0_i64).saturating_add(self.shift)
    }

    /// A box: `<title>`, `<rect>` and `<text>`.
    fn a_box(&self, inside: &[Event<'_>], out: &mut Xml) -> Result<(), Error> {
        let number = inside.iter().find_map(|event| match event {
            Event::Text(text) => Some(text.as_ref().get(..7)?.to_vec()),
            _ => None,
        });
        // The box that inferno draws above all others has no number.
        let number =
            number.and_then(|hex| usize::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok());
        let Some(&index) = number.and_then(|number| self.boxes.get(number)) else {
            return Ok(());
        };
        let rect = inside.iter().find_map(|event| match event {
            Event::Empty(rect) if rect.name().as_ref() == b"rect" => Some(rect),
            _ => None,
        });
        let text = inside.iter().find_map(|event| match event {
            Event::Start(text) if text.name().as_ref() == b"text" => Some(text),
            _ => None,
        });
        let (Some(rect), Some(text)) = (rect, text) else {
            return Err(Error::Drawing(
                "inferno drew a box without a text".to_owned(),
            ));
        };
        let node = &self.nodes[index];
        let mut group = BytesStart::new("g");
        let paint = (self.paint)(index);
        group.push_attribute(("class", paint.class));
        let name = printable(&node.name);
        let [longer, short] = label::shorter(&name);
        if short.len() < name.len() {
            group.extend_attributes([("fg:longer", &*longer), ("fg:short", &*short)]);
        }
        write(out, Event::Start(group))?;
        element(out, BytesStart::new("title"), &paint.tooltip)?;
        let room = self.rect(rect, &paint.color, out)?;
        let mut label = BytesStart::new("text");
        for (key, value) in attributes(text)? {
            label.push_attribute((&*key, &*value));
        }
        element(out, label, &label::fitting(&node.name, room))?;
        write(out, Event::End(BytesEnd::new("g")))
    }

    /// The rectangle of a box in its colour; and how many letters fit into it.
    fn rect(&self, rect: &BytesStart<'_>, color: &str, out: &mut Xml) -> Result<usize, Error> {
        let mut colored = BytesStart::new("rect");
        let mut letters = 0.0;
        for (key, value) in attributes(rect)? {
            match &*key {
                "fill" => colored.push_attribute(("fill", color)),
                _ => colored.push_attribute((&*key, &*value)),
            }
            if key == "width" {
                let share = value.trim_end_matches('%').parse().unwrap_or(0.0) / 100.0;
                letters = share * self.letters - 1.0;
            }
        }
        write(out, Event::Empty(colored))?;
        Ok(letters.max(0.0) as usize)
    }

    /// The texts around the boxes that the script writes into.
    fn a_text(
        &self,
        start: &BytesStart<'_>,
        inside: Vec<Event<'_>>,
        out: &mut Xml,
    ) -> Result<(), Error> {
        let id = attribute(start, "id")?.unwrap_or_default();
        let details = header::DETAILS_Y.to_string();
        let place: &[(&str, &str)] = match &*id {
            "details" => &[("x", "10"), ("y", &details)],
            "unzoom" => &[
                ("x", "100%"),
                ("dx", "-120"),
                ("y", "28"),
                ("class", "hide"),
            ],
            "search" => &[("x", "1190"), ("y", "28")],
            "matched" => &[("x", "1190"), ("y", "49")],
            // The title and what else inferno would write.
            _ => return Ok(()),
        };
        let mut text = BytesStart::new("text");
        text.push_attribute(("id", &*id));
        text.extend_attributes(place.iter().copied());
        write(out, Event::Start(text))?;
        inside.into_iter().try_for_each(|event| write(out, event))?;
        write(out, Event::End(BytesEnd::new("text")))
    }

    fn head(&self, out: &mut Xml) -> Result<(), Error> {
        for line in &self.texts {
            let mut text = BytesStart::new("text");
            let y = line.y.to_string();
            text.extend_attributes([("class", line.class), ("x", "10"), ("y", &*y)]);
            element(out, text, &line.text)?;
        }
        let mut legend = BytesStart::new("g");
        legend.push_attribute(("id", "legend"));
        write(out, Event::Start(legend))?;
        for chip in &self.legend {
            let (x, y) = (
                format!("{:.1}", chip.x),
                (header::LEGEND_Y - 10).to_string(),
            );
            let mut rect = BytesStart::new("rect");
            rect.extend_attributes([("x", &*x), ("y", &*y), ("width", "12"), ("height", "12")]);
            rect.extend_attributes([("rx", "3"), ("fill", &*chip.color)]);
            write(out, Event::Empty(rect))?;
            let (x, y) = (
                format!("{:.1}", chip.x + 18.0),
                header::LEGEND_Y.to_string(),
            );
            let mut text = BytesStart::new("text");
            text.extend_attributes([("class", "head legend"), ("x", &*x), ("y", &*y)]);
            element(out, text, &chip.text)?;
        }
        write(out, Event::End(BytesEnd::new("g")))
    }
}

/// Our style, after inferno's.
pub(super) fn style(out: &mut Xml) -> Result<(), Error> {
    let mut style = BytesStart::new("style");
    style.push_attribute(("type", "text/css"));
    write(out, Event::Start(style))?;
    write(
        out,
        Event::CData(BytesCData::new(include_str!("style.css"))),
    )?;
    write(out, Event::End(BytesEnd::new("style")))
}

/// Our script, after inferno's.
fn script(out: &mut Xml) -> Result<(), Error> {
    let mut script = BytesStart::new("script");
    script.push_attribute(("type", "text/ecmascript"));
    write(out, Event::Start(script))?;
    write(
        out,
        Event::CData(BytesCData::new(include_str!("frames.js"))),
    )?;
    write(out, Event::End(BytesEnd::new("script")))
}

fn is_background(empty: &BytesStart<'_>) -> bool {
    empty.name().as_ref() == b"rect"
}

/// The events up to the end of an element of this name, which none of the same
/// name is inside of.
fn until_end<'a>(reader: &mut Reader<&'a [u8]>, name: &[u8]) -> Result<Vec<Event<'a>>, Error> {
    let mut inside = Vec::new();
    loop {
        match reader.read_event().map_err(drawing)? {
            Event::End(end) if end.name().as_ref() == name => return Ok(inside),
            Event::Eof => {
                return Err(Error::Drawing(
                    "inferno's picture ends too early".to_owned(),
                ));
            }
            event => inside.push(event),
        }
    }
}

fn attributes(of: &BytesStart<'_>) -> Result<Vec<(String, String)>, Error> {
    of.attributes()
        .map(|attribute| {
            let attribute = attribute.map_err(drawing)?;
            let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(drawing)?;
            Ok((key, Cow::into_owned(value)))
        })
        .collect()
}

fn attribute(of: &BytesStart<'_>, name: &str) -> Result<Option<String>, Error> {
    let all = attributes(of)?;
    Ok(all
        .into_iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value))
}

fn element(out: &mut Xml, start: BytesStart<'_>, text: &str) -> Result<(), Error> {
    let end = start.to_end().into_owned();
    write(out, Event::Start(start))?;
    write(out, Event::Text(BytesText::new(text)))?;
    write(out, Event::End(end))
}

fn write(out: &mut Xml, event: Event<'_>) -> Result<(), Error> {
    out.write_event(event).map_err(drawing)
}

fn drawing(why: impl std::fmt::Display) -> Error {
    Error::Drawing(why.to_string())
}

/// A picture without boxes, that only says something.
pub(super) fn notice(texts: Vec<Text>, said: &str) -> Result<String, Error> {
    let mut out = Writer::new(Vec::new());
    let mut svg = BytesStart::new("svg");
    svg.extend_attributes([
        ("version", "1.1"),
        ("xmlns", "http://www.w3.org/2000/svg"),
        ("width", "1200"),
        ("height", "140"),
        ("viewBox", "0 0 1200 140"),
    ]);
    write(&mut out, Event::Start(svg))?;
    style(&mut out)?;
    let mut rect = BytesStart::new("rect");
    rect.extend_attributes([("width", "100%"), ("height", "100%"), ("fill", "#ffffff")]);
    write(&mut out, Event::Empty(rect))?;
    let said = Text {
        class: "head headline",
        y: 110,
        text: said.to_owned(),
    };
    for line in texts.iter().chain([&said]) {
        let mut text = BytesStart::new("text");
        let y = line.y.to_string();
        text.extend_attributes([("class", line.class), ("x", "10"), ("y", &*y)]);
        element(&mut out, text, &line.text)?;
    }
    write(&mut out, Event::End(BytesEnd::new("svg")))?;
    String::from_utf8(out.into_inner()).map_err(drawing)
}
