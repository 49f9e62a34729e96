// Runs before the first paint, so that a page in the dark theme never flashes white. A file of
// its own because the content security policy allows no inline script.
(() => {
  let choice = "system";
  try {
    choice = localStorage.getItem("periscope.theme") || "system";
  } catch {
    // Storage may be blocked; the system's theme is right then.
  }
  const dark = choice === "dark" || (choice !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
