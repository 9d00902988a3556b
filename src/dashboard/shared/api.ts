import { signal } from '@preact/signals'
import type { Problem } from '../../api/problem.ts'
import type { AnswerOf } from '../../api/route.ts'
import type { RouteId, RouteOf } from '../../api/routes.ts'

const BASE = '/api/v1'
const UNAUTHORIZED = 401
const NO_CONTENT = 204

/** The result of an operation. */
export type Answer<Id extends RouteId> = AnswerOf<RouteOf<Id>>
/** One entry of a list that an operation returns. */
export type Item<Id extends RouteId> = Answer<Id> extends { items: readonly (infer One)[] } ? One : never

export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** The path below `/api/v1`. */
  readonly path: string
  readonly query?: Query
  readonly body?: Readonly<Record<string, unknown>>
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>

/** An error response of the API. Its message explains the problem and the next step. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** The jobs to which the token of this page is limited, as globs; undefined: it is not limited. */
export const limitedTo = signal<readonly string[] | undefined>(undefined)

/** Whether the last response required a token. */
export const isLocked = signal(false)

/** Encodes a value for use in a path. */
export function part(value: string | number): string {
  return encodeURIComponent(value)
}

export function addressOf({ path, query = {} }: Pick<Request, 'path' | 'query'>): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '')
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
  return `${BASE}${path}${text && `?${text}`}`
}

/**
 * Sends a GET request.
 *
 * @throws ApiError
 */
export async function get<Id extends RouteId>(
  path: string,
  query: Query = {},
  signal?: AbortSignal,
): Promise<Answer<Id>> {
  return (await send({ method: 'GET', path, query }, signal)) as Answer<Id>
}

/**
 * Sends a request.
 *
 * @param key stays the same in all tries of one change, so that the server makes the change only once, even if an answer was lost
 * @throws ApiError, even if no server responds
 */
export async function send(request: Request, signal?: AbortSignal, key?: string): Promise<unknown> {
  const { method, body } = request
  const response = await fetch(addressOf(request), {
    method,
    ...(body && { body: JSON.stringify(body) }),
    headers: {
      ...(body && { 'content-type': 'application/json' }),
      ...(key !== undefined && { 'idempotency-key': key }),
    },
    ...(signal && { signal }),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error
    throw new ApiError(0, 'UNREACHABLE', 'No answer from the server. It may be restarting, or the network is down.')
  })
  isLocked.value = response.status === UNAUTHORIZED
  if (!response.ok) throw await problemOf(response)
  return response.status === NO_CONTENT ? undefined : response.json()
}

async function problemOf(response: Response): Promise<ApiError> {
  const found = (await response.json().catch(() => ({}))) as Partial<Problem>
  const { code = 'HTTP_ERROR', detail = `The server answered with status ${response.status}.` } = found
  return new ApiError(response.status, code, detail)
}
