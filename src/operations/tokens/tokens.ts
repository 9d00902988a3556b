import { type Role, ROLES } from '../../access/actor.ts'
import { digestOf, globsProblem, nameProblem, newSecret } from '../../access/token.ts'
import { systemClock } from '../../clock.ts'
import { describe, PikoError } from '../../errors.ts'
import { isWhole } from '../../errors-read.ts'
import { anything, flag, oneOf, type OptionCheck, type OptionChecks, wholeNumber } from '../../options.ts'
import type { TokenFilter, TokenRow } from '../../store/access/token-store.ts'
import { type Duration, durationMs } from '../../time/duration.ts'
import { type InstantInput, instantOf } from '../../time/instant.ts'
import { readArguments } from '../arguments.ts'
import type { Reach } from '../reach.ts'

/** What kind of token to create. */
export interface TokenRequest {
  /**
   * The name of the token: 1 to 100 letters, digits, spaces and any of `. _ @ / : -`. It begins with a letter or digit and contains a
   * letter. No other token that is not revoked has this name.
   */
  readonly name: string
  /**
   * What the token may do: `viewer` reads, except tokens and the audit; `operator` also changes runs, jobs, schedules, configs and so on;
   * `admin` does everything.
   */
  readonly role: Role
  /** Globs of job ids to which the token is limited: `*` matches any characters, `?` matches one. Default: all jobs. */
  readonly jobs?: readonly string[]
  /** When the token becomes invalid. Default: never. */
  readonly expiresAt?: InstantInput
  /** How long the token is valid; an alternative to `expiresAt`. */
  readonly expiresIn?: Duration
}

/** A new token. */
export interface CreatedToken extends TokenRow {
  /** The token itself, for the header `Authorization: Bearer …`. Only this result contains it; the database stores only its SHA-256. */
  readonly token: string
}

const fitting =
  (problem: (value: unknown) => string | undefined): OptionCheck =>
  (value) => {
    const found = problem(value)
    return found === undefined ? undefined : `is ${describe(value)}; ${found}`
  }

const CREATE: OptionChecks<TokenRequest> = {
  name: fitting(nameProblem),
  role: oneOf(...ROLES),
  jobs: fitting(globsProblem),
  expiresAt: anything,
  expiresIn: anything,
}

const LIST: OptionChecks<TokenFilter> = {
  all: flag,
  role: oneOf(...ROLES),
  limit: wholeNumber(0),
  after: wholeNumber(0),
}

/** `app.tokens`: tokens for the HTTP API. */
export class Tokens {
  readonly #reach: () => Pick<Reach, 'store'>

  constructor(reach: () => Pick<Reach, 'store'>) {
    this.#reach = reach
  }

  /**
   * Creates a token with 256 random bits. Valid on all nodes immediately.
   *
   * @throws PikoError `USAGE` naming every problem, `TOKEN_EXISTS`, `DURATION_INVALID`
   * @example
   * const { token } = await app.tokens.create({ name: 'grafana', role: 'viewer', expiresIn: '365d' })
   */
  async create(request: TokenRequest): Promise<CreatedToken> {
    const call = 'app.tokens.create'
    const form = { call, checks: CREATE, example: "{ name: 'grafana', role: 'viewer' }" }
    const { name, role, jobs, expiresAt, expiresIn } = readArguments<TokenRequest>(form, {}, request)
    // The call above checks only the options that were given, so this one checks the required options.
    readArguments({ ...form, checks: {} }, { name: [name, CREATE.name], role: [role, CREATE.role] }, {})
    if (expiresAt !== undefined && expiresIn !== undefined)
      throw new PikoError('USAGE', `${call} got both expiresAt and expiresIn; give one of them`)
    const { store } = this.#reach()
    const secret = newSecret()
    const validMs = expiresIn === undefined ? undefined : durationMs(expiresIn, `expiresIn of ${call}`)
    const until = expiresAt === undefined ? undefined : instantOf(`expiresAt of ${call}`, expiresAt)
    if (validMs === 0 || (until && until.getTime() <= systemClock.now()))
      throw new PikoError('USAGE', `${call}: the token would already be expired; give a later instant or a longer time`)
    const digest = digestOf(secret)
    const row = await store.tokens.create({ digest, name, role, jobs, expiresAt: until, validMs })
    if (row) return { ...row, token: secret }
    throw new PikoError(
      'TOKEN_EXISTS',
      `a token with the name ${describe(name)} exists; revoke it first (piko tokens revoke), or choose another name`,
      { details: { name } },
    )
  }

  /**
   * Returns one token by its id, or by its name if it is not revoked.
   *
   * @throws PikoError `TOKEN_UNKNOWN`, `USAGE`
   */
  async show(which: number | string): Promise<TokenRow> {
    return this.#find(which)
  }

  /**
   * Lists valid tokens, oldest first. With `all`, revoked and expired ones are included.
   *
   * @param filter.limit default 100
   * @throws PikoError `USAGE`
   */
  async list(filter: TokenFilter = {}): Promise<TokenRow[]> {
    const form = { call: 'app.tokens.list', checks: LIST, example: '{ all: true }' }
    return this.#reach().store.tokens.list(readArguments<TokenFilter>(form, {}, filter))
  }

  /**
   * Revokes a token on all nodes immediately and for good. Ends the browser sessions that were opened with it. Has no effect on a revoked
   * token.
   *
   * @param which its id or its name
   * @throws PikoError `TOKEN_UNKNOWN`, `USAGE`
   */
  async revoke(which: number | string): Promise<TokenRow> {
    const { id } = await this.#find(which)
    const { store } = this.#reach()
    await store.tokens.revoke(id)
    return this.#find(id)
  }

  async #find(which: number | string): Promise<TokenRow> {
    const isId = isWhole(which) && which > 0
    if (!isId && typeof which !== 'string')
      throw new PikoError('USAGE', `app.tokens got ${describe(which)}; expected the id or the name of a token`)
    const isName = typeof which === 'string' && nameProblem(which) === undefined
    const found = isId || isName ? await this.#reach().store.tokens.find(which) : undefined
    if (found) return found
    throw new PikoError('TOKEN_UNKNOWN', `there is no token ${describe(which)}; piko tokens list shows them`, {
      details: { token: which },
    })
  }
}
