//! What assistive technology gets from a page, and what can be measured of its looks.

use serde_json::{Value, json};

use crate::browser::Browser;

/// The parts of a page that assistive technology hears of, in order.
pub(crate) struct Tree(Vec<Heard>);

struct Heard {
    role: String,
    name: String,
    description: String,
    level: u64,
}

impl Tree {
    pub(crate) async fn of(browser: &Browser) -> Self {
        let tree = browser.inspect("Accessibility.getFullAXTree", json!({})).await;
        let heard = tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] != true);
        let text = |node: &Value, key: &str| node[key]["value"].as_str().unwrap_or("").to_owned();
        let level = |node: &Value| {
            let mut properties = node["properties"].as_array().into_iter().flatten();
            let level = properties.find(|property| property["name"] == "level");
            level.and_then(|property| property["value"]["value"].as_u64()).unwrap_or(0)
        };
        let heard = heard.map(|node| Heard {
            role: text(node, "role"),
            name: text(node, "name"),
            description: text(node, "description"),
            level: level(node),
        });
        Self(heard.collect())
    }

    fn of_role<'a>(&'a self, role: &str) -> impl Iterator<Item = &'a Heard> {
        self.0.iter().filter(move |heard| heard.role == role)
    }

    pub(crate) fn names(&self, role: &str) -> Vec<&str> {
        self.of_role(role).map(|heard| heard.name.as_str()).collect()
    }

    pub(crate) fn descriptions(&self, role: &str) -> Vec<&str> {
        self.of_role(role).map(|heard| heard.description.as_str()).collect()
    }

    /// One of each landmark, named navigation, headings without a gap, and no part to act on, table,
    /// region or picture without a name.
    pub(crate) fn assert_sound(&self) {
        for landmark in ["banner", "main", "contentinfo"] {
            assert_eq!(self.names(landmark).len(), 1, "{landmark}");
        }
        let levels: Vec<u64> = self.of_role("heading").map(|heading| heading.level).collect();
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1, "{levels:?}");
        assert_eq!(levels.first(), Some(&1));
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "a gap in {levels:?}");
        #[rustfmt::skip]
        let named = ["navigation", "heading", "link", "button", "textbox", "Date", "image", "img",
            "table", "region", "columnheader", "rowheader", "DisclosureTriangle"];
        for role in named {
            assert!(self.names(role).iter().all(|name| !name.trim().is_empty()), "{role}");
        }
    }
}

/// Texts whose contrast against the ground behind them is below 4.5 : 1 (WCAG 2.2, 1.4.3).
const FAINT: &str = r"
    const channels = text => text.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
        const part = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const ground = element => {
        for (let e = element; e; e = e.parentElement) {
            const box = e.matches('svg g') ? e.querySelector('rect') : null;
            const colour = channels(box ? getComputedStyle(box).fill
                                        : getComputedStyle(e).backgroundColor);
            if (colour.length < 4 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const faint = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode());) {
        const element = node.parentElement;
        if (!node.data.trim() || ['title', 'desc'].includes(element.localName)) continue;
        const style = getComputedStyle(element);
        const ink = channels(element.localName === 'text' ? style.fill : style.color);
        const [a, b] = [light(ink), light(ground(element))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) faint.push(node.data.trim() + ' ' + ratio.toFixed(2));
    }
    return faint;
";

/// Texts of the drawing that reach out of their box.
const CUT: &str = r"
    const cut = [];
    for (const group of document.querySelectorAll('svg.family g')) {
        const box = group.querySelector('rect').getBoundingClientRect();
        for (const text of group.querySelectorAll('text')) {
            const rectangle = text.getBoundingClientRect();
            if (rectangle.right > box.right - 4 || rectangle.bottom > box.bottom)
                cut.push(text.textContent);
        }
    }
    return cut;
";

/// Nothing is faint, nothing cut, and the page itself never scrolls sideways.
pub(crate) async fn assert_readable(browser: &Browser) {
    assert_eq!(browser.see(FAINT).await, json!([]), "too little contrast");
    assert_eq!(browser.see(CUT).await, json!([]), "texts outside their boxes");
    let wider =
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.see(wider).await, json!(0), "the page scrolls sideways");
}
