/** What signing out everywhere ends; without a number where it is not known, nothing of what there is none of. */
export function whatEnds(logins?: number, shells?: number, tokens?: number): string[] {
  return [
    logins === 1
      ? "This browser is signed out"
      : counted(logins, "browser is", "browsers are", "signed out, this one too"),
    counted(shells, "shell ends,", "shells end,", "and what runs there"),
    counted(tokens, "access token is", "access tokens are", "revoked for good"),
  ].filter((words) => words !== "");
}

function counted(count: number | undefined, one: string, many: string, rest: string): string {
  if (count === 0) return "";
  if (count === undefined) return `Every ${one} ${rest}`;
  return `${count.toLocaleString()} ${count === 1 ? one : many} ${rest}`;
}
