// Refines inferno's script, which was loaded just before: the first line of a
// box's title is its full name, and `fg:longer` and `fg:short` are what to
// write where that does not fit.
(function () {
    "use strict";
    function title_lines(group) {
        return find_child(group, "title").textContent.split("\n");
    }
    function label(group, room) {
        var full = title_lines(group)[0];
        if (full.length <= room) return full;
        var longer = group.getAttribute("fg:longer") || full;
        if (longer.length <= room) return longer;
        var short = group.getAttribute("fg:short") || full;
        if (short.length <= room) return short;
        return room < 3 ? "" : short.substring(0, room - 1) + "\u2026";
    }
    // What a search looks at: the name and the places, not the numbers.
    g_to_func = function (group) {
        return title_lines(group).slice(0, -1).join("\n");
    };
    // What the line above the picture says of the box under the mouse.
    g_to_text = function (group) {
        return title_lines(group).join("  \u00b7  ");
    };
    update_text_for_elements = function (elements) {
        var width = frames.attributes.width.value;
        var letter = known_font_width || fontsize * fontwidth;
        // All reading first, then all writing: mixing them lays the page out
        // anew for every box.
        var labels = Array.prototype.map.call(elements, function (group) {
            var rect = find_child(group, "rect");
            var pixels = parseFloat(rect.attributes.width.value) * width / 100;
            return [
                format_percent(parseFloat(rect.attributes.x.value) + 100 * 5 / width),
                label(group, Math.floor((pixels - 8) / letter)),
            ];
        });
        for (var i = 0; i < elements.length; i++) {
            var text = find_child(elements[i], "text");
            text.attributes.x.value = labels[i][0];
            text.textContent = labels[i][1];
        }
    };
    var fit_frames = init;
    init = function (event) {
        fit_frames(event);
        document.documentElement.classList.add("live");
    };
})();
