/** A guarantee that is taken away. */
export interface SabotagePlan {
  /** What the checker must find out. */
  readonly removes: string
  /** Run once on the database. */
  readonly statements: readonly string[]
  /** What becomes of the nodes' statements, in every thread: the text that is looked for and what takes its place. */
  readonly rewrites: readonly (readonly [pattern: RegExp, replacement: string])[]
}

/** Each must be caught by the checker: one that can't fail is worth nothing. */
export const SABOTAGES = {
  'no-fence': {
    removes: 'the check of the fence when runs are finished',
    statements: [],
    // The placeholders stay, so that the values still fit.
    rewrites: [
      [/ and (id \* 65536 \+ claims in \([^)]*\))/gi, ' and (1 or $1)'],
      [/ and (`node_id` = \? and `state` = \?)/gi, ' and (1 or ($1))'],
    ],
  },
  'no-renewal': {
    removes: "the renewal of a node's lease",
    statements: [],
    rewrites: [[/^(update `piko_node` set .*`expires_at` = )(\(.*?MICROSECOND\))/is, '$1IF(1, expires_at, $2)']],
  },
  'no-unique-tick': {
    removes: 'the unique key of ticks',
    statements: ['ALTER TABLE piko_run DROP INDEX run_tick, ADD INDEX run_tick (job_id, tick)'],
    rewrites: [],
  },
  'no-row-lock': {
    removes: 'the row lock of the claim',
    statements: [],
    rewrites: [[/ for update(?: skip locked)?/gi, '']],
  },
  'commit-outside': {
    removes: 'the transaction around the effect of ctx.commit',
    statements: [],
    rewrites: [],
  },
} as const satisfies Record<string, SabotagePlan>

export type Sabotage = keyof typeof SABOTAGES
