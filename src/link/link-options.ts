import type { z } from 'zod'
import type { Logger } from '../logger.ts'
import {
  anAbortSignal,
  expecting,
  flag,
  listOf,
  type OptionCheck,
  type OptionChecks,
  problemsText,
  readOptions,
  wholeNumber,
} from '../options.ts'
import { PikoError } from '../errors.ts'
import { aLog } from '../service/service-options.ts'
import { wrongCall } from '../call-options.ts'
import { durationMs, type Duration } from '../time/duration.ts'
import { aDuration } from '../time/duration-check.ts'
import { DEFAULT_LIMITS, type LinkLimits } from './carrier/limits.ts'
import { type BodyLimits, DEFAULT_BODY_LIMITS } from './message/body.ts'
import { Routes } from './routes/define-routes.ts'
import { MAX_FRAME, MIN_FRAME } from './wire/frame.ts'
import { MAX_ROUTE } from './wire/head.ts'
import { LONGEST_TIMER_MS } from '../clock.ts'

/** A priority: 0 is sent first, 3 last. */
export type Level = 0 | 1 | 2 | 3

/** The options that both ends of a link have. */
export interface LinkOptions {
  /** The routes that this end serves. */
  readonly routes?: readonly Routes[]
  /** A secret that both ends must have, of at least 16 characters. Default: none. */
  readonly secret?: string
  /** The id under which the other end knows this node: 32 hexadecimal digits. Default: a random id for each process. */
  readonly nodeId?: string
  readonly log?: Logger
  /** The maximum size of a frame from the other end, in bytes. Default 65,536; 1,024 to 1,048,576. */
  readonly maxFrame?: number
  /**
   * How many bytes of a message the other end may send before they are read. Default 1 MB. For all messages together, the limit is eight
   * times as high.
   */
  readonly window?: number
  /** The maximum number of messages of the other end that may be open. Default 1,000. */
  readonly maxOpen?: number
  /** The maximum size of a JSON body, and of one value of a stream. Default 8 MB. */
  readonly maxJsonBytes?: number
  /** The maximum size of a body that is read into memory as bytes. Default 64 MB. */
  readonly maxBytes?: number
  /** The maximum size of a temporary file. Default 16 GB. */
  readonly maxFileBytes?: number
  /** How long the handshake may take. For `listen`, the same limit applies to TLS and the WebSocket upgrade before it. Default `'10s'`. */
  readonly handshake?: Duration
  /** The time between two PINGs. Default `'10s'`. */
  readonly ping?: Duration
}

/** The options of a call. */
export interface CallOptions {
  /**
   * The time limit until the reply is complete. Default: `'30s'` for `call`, none for the other methods. The handler's signal also aborts
   * at that time.
   */
  readonly timeout?: Duration
  /** The priority of the request and of its reply. Default 1. */
  readonly level?: Level
  readonly signal?: AbortSignal
  readonly headers?: Readonly<Record<string, string>>
  /** Any small JSON value to send in addition to the body. */
  readonly meta?: unknown
  /** Whether to send the request again if the connection is lost before the reply is complete. Default false. */
  readonly idempotent?: boolean
}

/** The options of a call whose result a zod schema checks and converts. */
export interface SchemaOptions<S extends z.ZodType> extends CallOptions {
  readonly schema: S
}

const aSecret = expecting(
  'a string of at least 16 characters',
  (value) => typeof value === 'string' && value.length >= 16,
)
const aNodeId = expecting(
  '32 hexadecimal digits',
  (value) => typeof value === 'string' && /^[0-9a-f]{32}$/i.test(value),
)
const aRoutes: OptionCheck = expecting('the result of defineRoutes', (value) => value instanceof Routes)
const aSchema = expecting(
  'a zod schema',
  (value) => typeof value === 'object' && value !== null && 'safeParseAsync' in value,
)

/** The checks of the sizes of a body. */
export const BODY_CHECKS: OptionChecks<BodyLimits> = {
  maxJsonBytes: wholeNumber(1_024, 536_870_888),
  maxBytes: wholeNumber(1_024),
  maxFileBytes: wholeNumber(1_024),
}

export const LINK_CHECKS: { readonly [K in keyof LinkOptions]-?: OptionCheck } = {
  routes: listOf('routes', aRoutes),
  secret: aSecret,
  nodeId: aNodeId,
  log: aLog,
  maxFrame: wholeNumber(MIN_FRAME, MAX_FRAME),
  window: wholeNumber(65_536, 1_073_741_824),
  maxOpen: wholeNumber(1, 1_000_000),
  ...BODY_CHECKS,
  handshake: aDuration(1, LONGEST_TIMER_MS),
  ping: aDuration(10, LONGEST_TIMER_MS),
}

const CALL_CHECKS = {
  timeout: aDuration(1, LONGEST_TIMER_MS),
  level: oneOfLevels(),
  signal: anAbortSignal,
  headers: expecting(
    'an object of strings',
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      // A list, a Map and `Headers` do not hold the headers as properties.
      !(Symbol.iterator in value) &&
      Object.values(value).every((text) => typeof text === 'string'),
  ),
  meta: () => undefined,
  idempotent: flag,
  schema: aSchema,
}

const EVENT_CHECKS = { level: oneOfLevels() }

const aRoute = expecting(
  `a string of at most ${MAX_ROUTE} characters`,
  (value) => typeof value === 'string' && value.length <= MAX_ROUTE,
)

/**
 * Reads the options of a call, and checks its route. The other end would refuse a wrong route by closing the whole connection.
 *
 * @throws PikoError `USAGE` that names all problems
 */
export function checkedLinkCall(route: unknown, given: CallOptions | undefined): CallOptions {
  return checkedMessage<CallOptions>('a call over a link', ['route', route], CALL_CHECKS, given)
}

/** Like {@link checkedLinkCall}, for an event. @throws PikoError `USAGE` that names all problems */
export function checkedEvent(name: unknown, given?: { readonly level?: Level }): { readonly level?: Level } {
  return checkedMessage<{ readonly level?: Level }>('an event over a link', ['name', name], EVENT_CHECKS, given)
}

function checkedMessage<T extends object>(
  call: string,
  [what, route]: readonly [string, unknown],
  checks: Readonly<Record<string, OptionCheck>>,
  given: T | undefined,
): Partial<T> {
  const wrong = aRoute(route)
  if (wrong === undefined && given === undefined) return {}
  const { options, problems } = readOptions<Record<string, unknown>>(given ?? {}, checks, '{ level: 0 }')
  const all = [...(wrong === undefined ? [] : [`${what} ${wrong}`]), ...problems]
  if (all.length > 0) throw wrongCall(call, all)
  return options as Partial<T>
}

function oneOfLevels(): OptionCheck {
  return expecting('0, 1, 2 or 3', (value) => value === 0 || value === 1 || value === 2 || value === 3)
}

/**
 * Reads the options of `dial`, `listen` or `linkOf`.
 *
 * @throws PikoError `USAGE` that names every wrong option
 */
export function linkCall<T extends object>(
  call: string,
  given: unknown,
  own: Readonly<Record<string, OptionCheck>>,
  example: string,
  required: readonly string[] = [],
): T {
  const checks: Readonly<Record<string, OptionCheck>> = { ...own, ...LINK_CHECKS }
  const { options, problems } = readOptions<Record<string, unknown>>(given, checks, example, required)
  if (problems.length > 0) throw new PikoError('USAGE', problemsText(call, problems), { details: { problems } })
  return options as T
}

export function limitsOf(options: LinkOptions): LinkLimits & BodyLimits {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  const { handshake, ping } = options
  return {
    ...DEFAULT_LIMITS,
    ...DEFAULT_BODY_LIMITS,
    ...(Object.fromEntries(
      given.filter(([name]) => name.startsWith('max') || name === 'window'),
    ) as Partial<LinkLimits>),
    ...(handshake && { handshakeMs: durationMs(handshake) }),
    ...(ping && { pingMs: durationMs(ping) }),
  }
}
