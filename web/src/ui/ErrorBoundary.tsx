import { Component, type ReactNode } from "react";
import { Fault } from "./states.tsx";

interface Props {
  /** What failed, in the reader's words: "the list of pods". */
  what: string;
  children: ReactNode;
}

/** Keeps a failure in one part of the page from taking the others, the shells above all, with it. */
export class ErrorBoundary extends Component<Props, { error: Error | null }> {
  override state = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render() {
    const error = this.state.error as Error | null;
    if (!error) return this.props.children;
    return (
      <Fault
        fault={{
          kind: "other",
          title: `The page could not show ${this.props.what}`,
          message: error.message,
          next: "Try again. If it happens again, reload the page; open shells end when you do.",
          requestId: "",
        }}
        retry={() => this.setState({ error: null })}
      />
    );
  }
}
