//! Markers: stalls, values over time, and what the profile says of itself.

use crate::fold::kind_name;
use crate::printable::{count, duration, printable};
use crate::profile::{Cause, Profile, StackId, Stall};
use crate::report::Blame;
use fx::{
    CategoryHandle, GraphColor, MarkerFieldFlags, MarkerFieldFormat, MarkerGraphType,
    MarkerLocations, StaticSchemaMarker, StaticSchemaMarkerField, StaticSchemaMarkerGraph,
    StringHandle,
};
use fxprof_processed_profile as fx;

const fn text(key: &'static str, label: &'static str) -> StaticSchemaMarkerField {
    StaticSchemaMarkerField {
        key,
        label,
        format: MarkerFieldFormat::String,
        flags: MarkerFieldFlags::SEARCHABLE,
    }
}

/// A poll that held its worker.
pub(super) struct StallMarker {
    name: StringHandle,
    texts: [StringHandle; 6],
    uncertainty_ms: f64,
}

impl StallMarker {
    pub(super) fn of(
        profile: &Profile,
        stall: &Stall,
        stack: Option<StackId>,
        blame: &mut Blame<'_>,
        made: &mut fx::Profile,
    ) -> Self {
        let syscall = stall.syscall.as_deref();
        let (culprit, advice) = blame.of_stack(stack, stall.kind, stall.cause, syscall);
        let kind = stall.kind.map(|kind| kind_name(profile, kind));
        let task = stall.task.map(|task| &*profile.tasks[task.index()].id);
        let function = culprit.as_ref().map(|culprit| culprit.function.clone());
        let place = culprit.as_ref().and_then(|culprit| {
            let file = culprit.file.as_ref()?;
            let line = culprit
                .line
                .map_or_else(String::new, |line| format!(":{line}"));
            Some(format!("{file}{line}"))
        });
        let mut intern = |text: &str| made.intern_string(&printable(text));
        Self {
            name: intern(match stall.cause {
                Cause::Cpu => "stall: computes",
                Cause::Syscall => "stall: in a system call",
                Cause::Fault => "stall: page fault",
                Cause::Preempted => "stall: preempted",
            }),
            texts: [
                intern(kind.as_deref().unwrap_or("not known")),
                intern(task.unwrap_or("not known")),
                intern(function.as_deref().unwrap_or("not known")),
                intern(place.as_deref().unwrap_or("not known")),
                intern(syscall.unwrap_or("none")),
                intern(advice.unwrap_or("")),
            ],
            uncertainty_ms: stall.uncertainty_ns as f64 / 1e6,
        }
    }
}

impl StaticSchemaMarker for StallMarker {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "Stall";
    const DESCRIPTION: Option<&'static str> = Some(
        "A poll that held its worker past the threshold, with its start and length as measured.",
    );
    const LOCATIONS: MarkerLocations = MarkerLocations::MARKER_CHART
        .union(MarkerLocations::MARKER_TABLE)
        .union(MarkerLocations::TIMELINE_OVERVIEW);
    const CHART_LABEL: Option<&'static str> = Some("{marker.data.culprit}");
    const TOOLTIP_LABEL: Option<&'static str> = Some("{marker.name}: {marker.data.culprit}");
    const TABLE_LABEL: Option<&'static str> =
        Some("{marker.data.kind}: {marker.data.culprit} at {marker.data.place}");
    const FIELDS: &'static [StaticSchemaMarkerField] = &[
        text("kind", "Kind of task"),
        text("task", "Task"),
        text("culprit", "Culprit"),
        text("place", "At"),
        text("syscall", "System call"),
        text("advice", "Advice"),
        StaticSchemaMarkerField {
            key: "uncertainty",
            label: "Length right to within",
            format: MarkerFieldFormat::Duration,
            flags: MarkerFieldFlags::empty(),
        },
    ];

    fn name(&self, _: &mut fx::Profile) -> StringHandle {
        self.name
    }

    fn category(&self, _: &mut fx::Profile) -> CategoryHandle {
        CategoryHandle::OTHER
    }

    fn string_field_value(&self, field: u32) -> StringHandle {
        // The fields that are no number come first.
        self.texts[field as usize % self.texts.len()]
    }

    fn number_field_value(&self, _: u32) -> f64 {
        self.uncertainty_ms
    }
}

/// The mean of something over a stretch of time, drawn as a graph.
pub(super) struct Value {
    pub(super) name: StringHandle,
    pub(super) value: f64,
}

impl StaticSchemaMarker for Value {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "Mean";
    const DESCRIPTION: Option<&'static str> = Some("The mean over a stretch of time.");
    const CHART_LABEL: Option<&'static str> = Some("{marker.data.mean}");
    const TABLE_LABEL: Option<&'static str> = Some("{marker.data.mean}");
    const FIELDS: &'static [StaticSchemaMarkerField] = &[StaticSchemaMarkerField {
        key: "mean",
        label: "Mean",
        format: MarkerFieldFormat::Decimal,
        flags: MarkerFieldFlags::empty(),
    }];
    const GRAPHS: &'static [StaticSchemaMarkerGraph] = &[StaticSchemaMarkerGraph {
        key: "mean",
        graph_type: MarkerGraphType::Bar,
        color: Some(GraphColor::Blue),
    }];

    fn name(&self, _: &mut fx::Profile) -> StringHandle {
        self.name
    }

    fn category(&self, _: &mut fx::Profile) -> CategoryHandle {
        CategoryHandle::OTHER
    }

    fn string_field_value(&self, _: u32) -> StringHandle {
        self.name
    }

    fn number_field_value(&self, _: u32) -> f64 {
        self.value
    }
}

/// What the profile is, what it could not see, and what its timeline does not mean.
pub(super) struct About {
    name: StringHandle,
    texts: [StringHandle; 3],
}

impl About {
    pub(super) fn of(profile: &Profile, made: &mut fx::Profile) -> Self {
        let quality = &profile.quality;
        let stretch = duration(profile.bucket_ns);
        let order = format!(
            "a sample is all time of one stack within {stretch}, in milliseconds: where within \
             the {stretch} it lies is not known, and its place is made up; markers of stalls have \
             their own start and length"
        );
        let mut errors = format!(
            "{} samples, {} lost, {} stacks cut off; {} snapshots",
            count(quality.samples),
            count(quality.lost),
            count(quality.truncated),
            count(quality.snapshots)
        );
        let summed: u64 = profile.stall_sums.iter().map(|sum| sum.count).sum();
        if summed > 0 {
            errors.push_str(&format!(
                "; {} more stalls are known only as sums, and not shown",
                count(summed)
            ));
        }
        let notes = quality.notes.join("; ");
        let mut intern = |text: &str| made.intern_string(&printable(text));
        Self {
            name: intern("about this profile"),
            texts: [intern(&order), intern(&errors), intern(&notes)],
        }
    }
}

impl StaticSchemaMarker for About {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "About";
    const CHART_LABEL: Option<&'static str> = Some("{marker.data.order}");
    const TABLE_LABEL: Option<&'static str> = Some("{marker.data.order}");
    const FIELDS: &'static [StaticSchemaMarkerField] = &[
        text("order", "Order"),
        text("seen", "Seen and not seen"),
        text("notes", "Notes"),
    ];

    fn name(&self, _: &mut fx::Profile) -> StringHandle {
        self.name
    }

    fn category(&self, _: &mut fx::Profile) -> CategoryHandle {
        CategoryHandle::OTHER
    }

    fn string_field_value(&self, field: u32) -> StringHandle {
        self.texts[field as usize % self.texts.len()]
    }

    fn number_field_value(&self, _: u32) -> f64 {
        0.0
    }
}
