/** What the harness asks of a system's process, one JSON line each. */
export interface Order {
  readonly call: number
  readonly phase: string
  readonly args: unknown[]
}

/** `answer` belongs to the order of that number; `event` comes unasked. */
export type Reply =
  | { readonly answer: number; readonly result?: unknown; readonly error?: string }
  | { readonly event: 'begun' | 'ended'; readonly id: number; readonly at: number }
