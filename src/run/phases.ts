/**
 * When the parts of an attempt ended, in milliseconds after its claim, or after its due time if it was claimed earlier. A part that the
 * attempt did not reach is absent.
 */
export interface Marks {
  /** When the attempt got a slot. */
  readonly begun?: number | undefined
  /** When the attempt's resources were borrowed, and its sinks were ready. */
  readonly ready?: number | undefined
  /** When the handler had ended, or had called `ctx.commit`. */
  readonly handled?: number | undefined
  /** When the attempt's sinks were flushed. */
  readonly flushed?: number | undefined
}

export const PHASE_NAMES = ['queued', 'claimed', 'resources', 'handler', 'sinks', 'committed'] as const

export type PhaseName = (typeof PHASE_NAMES)[number]

/** A part of an attempt's time. */
export interface Phase {
  /**
   * `queued`: due, or waiting for another attempt, until a node claimed it. `claimed`: waited on the node for a slot. `resources`: waited
   * for its resources and sinks. `handler`: the handler ran. `sinks`: its sinks wrote the remaining rows. `committed`: the outcome was
   * stored.
   */
  readonly name: PhaseName
  readonly from: Date
  readonly to: Date
}

const LETTERS = { begun: 'b', ready: 'r', handled: 'h', flushed: 'f' } as const
const ORDER = ['begun', 'ready', 'handled', 'flushed'] as const
const PHASE_OF = { begun: 'claimed', ready: 'resources', handled: 'handler', flushed: 'sinks' } as const
/** A successful attempt stores no marks if it has only a handler, no output, and waited less than this on its node. */
export const UNMARKED_WAIT_MS = 1_000

/**
 * Returns the stored form of the marks of an attempt. It has at most 100 characters.
 * @param claims the number of the attempt's claim: how many times the run has been claimed so far
 */
export function marksText(claims: number, marks: Marks): string {
  const parts = ORDER.flatMap((name) => {
    const ms = marks[name]
    return ms === undefined ? [] : `${LETTERS[name]}${Math.max(0, Math.round(ms))}`
  })
  return [`c${claims}`, ...parts].join(' ')
}

/** Returns the marks of an attempt. Undefined if the text belongs to another attempt, or can't be read. */
export function marksOf(text: string | null | undefined, claims: number): Marks | undefined {
  const found = new Map(
    [...String(text ?? '').matchAll(/\b([cbrhf])(\d{1,13})\b/g)].map(([, name, ms]) => [name, Number(ms)]),
  )
  if (found.get('c') !== claims) return undefined
  return Object.fromEntries(
    ORDER.flatMap((name) => {
      const ms = found.get(LETTERS[name])
      return ms === undefined ? [] : [[name, ms]]
    }),
  )
}

/**
 * Returns the phases of an attempt in order of time. If there are no marks, the handler is assumed to have taken the whole attempt.
 *
 * @param freeAt when the run became due, or when its previous attempt ended
 */
export function phasesOf(
  attempt: { readonly startedAt: Date | undefined; readonly finishedAt: Date | undefined },
  freeAt: Date,
  marks: Marks | undefined,
): Phase[] {
  const { startedAt, finishedAt } = attempt
  if (!startedAt) return []
  const phases: Phase[] = []
  let from = Math.min(freeAt.getTime(), startedAt.getTime())
  const add = (name: PhaseName, at: number): void => {
    // The clocks of a node and of the database may differ a little, so each phase is kept between the previous one and the end of the
    // attempt.
    const to = Math.min(Math.max(at, from), finishedAt?.getTime() ?? Infinity)
    phases.push({ name, from: new Date(from), to: new Date(to) })
    from = to
  }
  add('queued', startedAt.getTime())
  if (!finishedAt) return phases
  if (!marks) add('handler', finishedAt.getTime())
  else {
    for (const name of ORDER) {
      const ms = marks[name]
      if (ms !== undefined) add(PHASE_OF[name], startedAt.getTime() + ms)
    }
    add('committed', finishedAt.getTime())
  }
  return phases
}
