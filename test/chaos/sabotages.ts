/** Removes one guarantee. */
export interface SabotagePlan {
  /** The guarantee whose loss the checker must notice. */
  readonly removes: string
  /** Another mechanism gives the same guarantee, so everything must hold. */
  readonly isHarmless?: boolean
  /** Statements to run once on the database. */
  readonly statements: readonly string[]
  /** Rewrites of the nodes' statements, in every thread: a pattern and its replacement. */
  readonly rewrites: readonly (readonly [pattern: RegExp, replacement: string])[]
}

/** All nodes hold the leader's lease, and plan the same jobs at the same time. */
const EVERY_NODE_LEADS: SabotagePlan['rewrites'] = [
  [/(update `piko_lock` set .* where `name` = \? and )\(`owner` is null or /is, '$1(1 or `owner` is null or '],
  [/(from `piko_job` where `plan_at` <= .*) for update skip locked/is, '$1'],
]

/** The checker must catch each one except the harmless ones: a check that can't fail is worth nothing. */
export const SABOTAGES = {
  'no-fence': {
    removes: 'the check of the fence when runs are finished',
    statements: [],
    // Keeps the placeholders, so the values still fit.
    rewrites: [
      [/ and (id \* 65536 \+ claims in \([^)]*\))/gi, ' and (1 or $1)'],
      [/ and (`node_id` = \? and `state` = \?)/gi, ' and (1 or ($1))'],
    ],
  },
  'no-item-fence': {
    removes: 'the check of the claim when items end, where nodes take running items from each other',
    statements: [],
    rewrites: [
      [/ and (claims = \d+ and `node_id` = \? and state = \?)/gi, ' and (1 or ($1))'],
      [
        /(from `piko_item` left join `piko_node` .*`piko_node`\.`expires_at` < )UTC_TIMESTAMP\(3\)/is,
        '$1UTC_TIMESTAMP(3) + INTERVAL 1 DAY',
      ],
    ],
  },
  'no-renewal': {
    removes: "the renewal of a node's lease",
    // Sabotages the database, because a separate thread renews the lease.
    statements: [
      'CREATE TRIGGER chaos_no_renewal BEFORE UPDATE ON piko_node FOR EACH ROW SET NEW.expires_at = OLD.expires_at',
    ],
    rewrites: [],
  },
  'no-unique-tick': {
    removes: 'the unique key of ticks, where every node leads',
    statements: ['ALTER TABLE piko_run DROP INDEX run_tick, ADD INDEX run_tick (job_id, tick)'],
    rewrites: EVERY_NODE_LEADS,
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
  'no-generations': {
    removes: 'which schedule bounded the windows of which time: the newest counts for all',
    statements: [],
    rewrites: [
      [
        /(from `piko_generation` where )(`job_id` in )/gi,
        '$1`start_at` = (select max(g.`start_at`) from `piko_generation` g where g.`job_id` = `piko_generation`.`job_id`) and $2',
      ],
    ],
  },
  'no-bounds': {
    removes: 'that a window ends where the next one begins',
    statements: [
      `CREATE TRIGGER chaos_no_bounds BEFORE INSERT ON piko_window FOR EACH ROW
       SET NEW.end_at = NEW.end_at + INTERVAL IF(NEW.job_id = 'changing', 100, 0) * 1000 MICROSECOND`,
    ],
    rewrites: [],
  },
  'no-rate': {
    removes: 'which runs of a rate have begun',
    statements: [
      `CREATE TRIGGER chaos_no_rate BEFORE INSERT ON piko_rate FOR EACH ROW SET NEW.starts = '[]'`,
      `CREATE TRIGGER chaos_no_rate_again BEFORE UPDATE ON piko_rate FOR EACH ROW SET NEW.starts = '[]'`,
    ],
    rewrites: [],
  },
  'many-leaders': {
    removes: 'that one node leads at a time, and the lock of the jobs that it plans',
    isHarmless: true,
    statements: [],
    rewrites: EVERY_NODE_LEADS,
  },
} as const satisfies Record<string, SabotagePlan>

export type Sabotage = keyof typeof SABOTAGES
