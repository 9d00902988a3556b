/** An order from the harness to a system's process, as one JSON line. */
export interface Order {
  readonly call: number
  readonly phase: string
  readonly args: unknown[]
}

/** An `answer` belongs to the order with its number; an `event` is sent without an order. */
export type Reply =
  | { readonly answer: number; readonly result?: unknown; readonly error?: string }
  | { readonly event: 'begun' | 'ended'; readonly id: number; readonly at: number }
