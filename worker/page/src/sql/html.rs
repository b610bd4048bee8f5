//! The page's frame; what moves in it is the script's (`assets/sql.js`).

use super::EDITOR;
use crate::html::{Html, put};
use crate::serve::ASSETS;

/// The page as everybody may have it: what the editor begins with is asked for with the token.
pub(super) fn page() -> Html {
    let all = || ASSETS.iter().chain(EDITOR.iter());
    let tag = |name: &str| all().find(|a| a.name == name).map_or("", |a| a.tag.as_str());
    let mut out = Html::new();
    put!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>SQL – Weir</title>\
         <link rel=\"icon\" href=\"/assets/icon.svg?{}\"><link rel=\"stylesheet\" href=\"/assets/page.css?{}\">\
         <link rel=\"stylesheet\" href=\"/assets/sql.css?{}\">\
         <script type=\"module\" src=\"/assets/sql.js?{}\"></script></head>",
        tag("icon.svg"),
        tag("page.css"),
        tag("sql.css"),
        tag("sql.js"),
    );
    put!(
        out,
        "<body data-editor=\"/assets/codemirror.js?{}\">\
         <a class=\"skip\" href=\"#editor\">To the editor</a>\
         <header class=\"top\"><span class=\"brand\" aria-hidden=\"true\">{}</span><div id=\"head\"><h1>SQL</h1>",
        tag("codemirror.js"),
        "≋"
    );
    out.raw(
        "<span class=\"folder\">paths of tables begin in <code id=\"folder\"></code></span></div>\
         <div class=\"age\" role=\"status\" id=\"status\"></div>\
         <button id=\"theme\" type=\"button\" title=\"Light or dark\" aria-label=\"Light or dark\">◐</button></header>\
         <main id=\"main\"><p id=\"notice\" class=\"card finding bad\" role=\"alert\" hidden></p>\
         <div class=\"desk\"><section class=\"card write\" aria-label=\"Statements\">\
         <div class=\"tools\" role=\"toolbar\" aria-label=\"What to do with them\">\
         <button id=\"run\" type=\"button\" class=\"main\" title=\"Run everything (Ctrl+Shift+Enter)\">▶ Run all</button>\
         <button id=\"one\" type=\"button\" title=\"Run the statement at the cursor, or those that are selected (Ctrl+Enter)\">Run statement</button>\
         <button id=\"stop\" type=\"button\" disabled>■ Stop</button>\
         <span class=\"gap\"></span>\
         <button id=\"keep\" type=\"button\">Save as a manifest …</button></div>\
         <div id=\"editor\"></div>\
         <div id=\"problems\" class=\"problems\" role=\"status\" aria-live=\"polite\"></div></section>\
         <aside class=\"card side\" aria-label=\"What is declared\"><h2>Tables</h2><div id=\"tables\"></div>\
         <h2>At the cursor</h2><div id=\"meaning\"></div></aside></div>\
         <section id=\"results\" aria-label=\"Results\"><p class=\"quiet\">Rows come here once something runs.</p></section></main>\
         <dialog id=\"manifest\" aria-labelledby=\"manifest-title\"><form method=\"dialog\">\
         <h2 id=\"manifest-title\">Save as the manifest of a job</h2>\
         <p class=\"quiet\">It runs with <code>weir run</code>, and with <code>kubectl apply -f</code> in a cluster. \
         Paths of tables are relative to the folder that it is in.</p>\
         <label>Name <input id=\"manifest-name\" autocomplete=\"off\" spellcheck=\"false\" value=\"my-job\"></label>\
         <label>Parallelism <input id=\"manifest-parallelism\" type=\"number\" min=\"1\" max=\"720\" value=\"1\"></label>\
         <p id=\"manifest-problem\" class=\"problem\" role=\"alert\"></p>\
         <div class=\"tools\"><button id=\"manifest-save\" type=\"button\" class=\"main\">Download</button>\
         <button id=\"manifest-close\" type=\"button\">Close</button></div></form></dialog>\
         <footer><span>What runs here runs as the user who started <code>weir</code>.</span>\
         <span class=\"keys\"><kbd>Ctrl</kbd> <kbd>Enter</kbd> run statement &ensp; <kbd>Ctrl</kbd> <kbd>Shift</kbd> <kbd>Enter</kbd> run all &ensp; \
         <kbd>Ctrl</kbd> <kbd>Space</kbd> complete &ensp; <kbd>Esc</kbd> <kbd>Tab</kbd> leave the editor</span></footer></body></html>",
    );
    out
}
