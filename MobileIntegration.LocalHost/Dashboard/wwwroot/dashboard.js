// Runs before the page is drawn, so that it appears in the chosen theme at once.
(() => {
    const stored = "dashboard-theme";
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    const chosen = () => localStorage.getItem(stored) ?? "system";

    function apply() {
        const theme = chosen();
        const mode = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
        document.documentElement.dataset.theme = mode;
        localStorage.setItem("fluentui-blazor:theme-settings", JSON.stringify({ mode }));
        window.Blazor?.theme?.setThemeMode(mode);
        const select = document.getElementById("theme");
        if (select && select.value !== theme) {
            select.value = theme;
        }
    }

    function choose(theme) {
        localStorage.setItem(stored, theme);
        apply();
    }

    const typing = target => target.closest?.("input, select, textarea, [contenteditable]");

    document.addEventListener("keydown", event => {
        if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
            document.querySelector("[data-close]")?.click();
        }

        if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) {
            return;
        }

        const key = event.key.toLowerCase();
        const page = document.querySelector(`nav [data-key="${CSS.escape(key)}"]`);
        if (page) {
            page.click();
        } else if (key === "?") {
            document.getElementById("help")?.showModal();
        } else if (key === "d") {
            const themes = ["system", "light", "dark"];
            choose(themes[(themes.indexOf(chosen()) + 1) % themes.length]);
        } else if (key === "/") {
            document.querySelector("main input[type=search]")?.focus();
        } else {
            return;
        }

        event.preventDefault();
    });

    document.addEventListener("change", event => {
        if (event.target.id === "theme") {
            choose(event.target.value);
        }
    });

    document.addEventListener("click", event => {
        if (event.target.closest("#help-open")) {
            document.getElementById("help").showModal();
        }

        // A menu closes when something is chosen, in it or elsewhere.
        for (const menu of document.querySelectorAll("details.menu[open]")) {
            if (!menu.querySelector("summary").contains(event.target) && !event.target.closest("[data-stays]")) {
                menu.open = false;
            }
        }
    });

    // A menu in a table that scrolls would be cut off by it, so it stands above the page.
    document.addEventListener("toggle", event => {
        const list = event.target.matches?.("details.menu[open]") && event.target.querySelector(".list");
        if (list) {
            const button = event.target.querySelector("summary").getBoundingClientRect();
            list.style.top = `${Math.max(4, Math.min(button.bottom + 4, innerHeight - list.offsetHeight - 4))}px`;
            list.style.left = `${Math.max(4, Math.min(button.right - list.offsetWidth, innerWidth - list.offsetWidth - 4))}px`;
        }
    }, true);
    document.addEventListener("scroll", event => {
        if (!event.target.closest?.("details.menu")) {
            document.querySelectorAll("details.menu[open]").forEach(menu => menu.open = false);
        }
    }, true);

    dark.addEventListener("change", apply);
    new MutationObserver(() => {
        const select = document.getElementById("theme");
        if (select && !select.dataset.ready) {
            select.dataset.ready = "yes";
            apply();
        }
    }).observe(document, { childList: true, subtree: true });
    apply();

    window.dashboard = {
        /** Stays at the end of a list that grows, unless its reader has scrolled away from it. */
        follow(list) {
            if (!list) {
                return;
            }

            if (!list.dataset.follows) {
                list.dataset.follows = "yes";
                list.addEventListener("scroll", () => {
                    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
                    if (atEnd || list.scrollTop < (list.lastTop ?? 0)) {
                        list.dataset.follows = atEnd ? "yes" : "no";
                    }

                    list.lastTop = list.scrollTop;
                });

                // Rows are drawn as they come into view, which moves the end once more.
                new MutationObserver(() => window.dashboard.toEnd(list)).observe(list, { childList: true, subtree: true, attributes: true, attributeFilter: ["style"] });
            }

            window.dashboard.toEnd(list);
        },
        toEnd(list) {
            if (list.dataset.follows === "yes") {
                list.scrollTop = list.scrollHeight;
            }
        },
    };
})();
