/** What a browser or program calls itself, in words a person knows it by. */
export interface Agent {
  /** "Firefox 142", "curl 8.5"; what it said where that is not known. */
  name: string;
  /** "Windows"; empty where it did not say. */
  system: string;
  kind: "desktop" | "phone" | "program";
}

/** The first that matches: most browsers also name those that came before them. */
const BROWSERS: readonly [name: string, pattern: RegExp][] = [
  ["Edge", /Edg(?:A|iOS)?\/(\d+)/],
  ["Opera", /OPR\/(\d+)/],
  ["Samsung Internet", /SamsungBrowser\/(\d+)/],
  ["Vivaldi", /Vivaldi\/(\d+)/],
  ["Firefox", /(?:Firefox|FxiOS)\/(\d+)/],
  ["Chrome", /(?:HeadlessChrome|Chrome|CriOS)\/(\d+)/],
  ["Safari", /Version\/(\d+)[\d.]* (?:Mobile\/\S+ )?Safari\//],
];

const SYSTEMS: readonly [name: string, pattern: RegExp][] = [
  ["Android", /Android/],
  ["iPad", /iPad/],
  ["iPhone", /iPhone/],
  ["Windows", /Windows/],
  ["ChromeOS", /CrOS/],
  ["macOS", /Macintosh|Mac OS X/],
  ["Linux", /Linux|X11/],
];

const PHONES = ["Android", "iPhone", "iPad"];
const PROGRAM = /^([\w.-]{1,40})\/(\d+(?:\.\d+)?)/;
const LONGEST = 60;

export function readAgent(said: string): Agent {
  const system = SYSTEMS.find(([, pattern]) => pattern.test(said))?.[0] ?? "";
  for (const [name, pattern] of BROWSERS) {
    const version = pattern.exec(said)?.[1];
    if (version) return { name: `${name} ${version}`, system, kind: PHONES.includes(system) ? "phone" : "desktop" };
  }
  const program = PROGRAM.exec(said);
  // Every browser calls itself Mozilla/5.0 first, and so that says nothing.
  if (program && program[1] !== "Mozilla") return { name: `${program[1]} ${program[2]}`, system, kind: "program" };
  return { name: said.slice(0, LONGEST) || "Unknown browser", system: said ? system : "", kind: "program" };
}

export function agentWords({ name, system }: Agent): string {
  return system ? `${name} on ${system}` : name;
}
