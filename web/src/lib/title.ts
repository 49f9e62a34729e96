let name = "Periscope";
let mark = "";

function show(): void {
  document.title = mark + name;
}

/** What the browser's tab says of the page. */
export function setTitle(next: string): void {
  name = next;
  show();
}

/** What stands before it: how much news there is elsewhere on the page. */
export function setTitleMark(next: string): void {
  mark = next;
  show();
}
