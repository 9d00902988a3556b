import type { FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { describe, PikoError } from '../../errors.ts'
import type { AnyRoute } from '../../api/routes.ts'

const MAX_PROBLEMS = 20

/** The parts of a request as they arrived. */
export interface RawRequest {
  readonly params: unknown
  readonly query: unknown
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: unknown
}

/** The parts of a request after their schemas have read them. */
export interface CheckedRequest {
  readonly params: Record<string, unknown>
  readonly query: Record<string, unknown>
  readonly headers: Record<string, string | undefined>
  readonly body: Record<string, unknown>
}

/** Checks all parts of a request. @throws PikoError `REQUEST_INVALID` naming every problem */
function checkedRequest(route: AnyRoute, raw: RawRequest): CheckedRequest {
  const problems: string[] = []
  const read = (part: string, schema: z.ZodType | undefined, value: unknown): Record<string, unknown> => {
    const result = schema?.safeParse(value)
    if (!result?.success) problems.push(...(result?.error.issues ?? []).map((issue) => sentence(part, issue, value)))
    return (result?.success ? result.data : {}) as Record<string, unknown>
  }
  if (!route.body && raw.body !== undefined && raw.body !== null) problems.push('body: this operation has none')
  const checked = {
    params: read('path', route.params, raw.params),
    query: read('query', route.query, { ...(raw.query as object) }),
    headers: read('header', route.headers, raw.headers) as CheckedRequest['headers'],
    body: route.body ? read('body', route.body, raw.body ?? {}) : {},
  }
  if (problems.length === 0) return checked
  const shown = problems.slice(0, MAX_PROBLEMS)
  const rest = problems.length > shown.length ? `; and ${problems.length - shown.length} more` : ''
  throw new PikoError('REQUEST_INVALID', `${shown.join('; ')}${rest}`, { details: { problems: shown } })
}

/**
 * Checks a request, and that its token may make it: that its role suffices, and that it may use the jobs that the request is about. Each
 * route needs these checks before it answers.
 *
 * @throws PikoError `REQUEST_INVALID`, `ACCESS_DENIED`
 */
export async function allowedRequest(route: AnyRoute, request: FastifyRequest): Promise<CheckedRequest> {
  const checked = checkedRequest(route, request)
  if (route.roleFor) await request.assertRole(route.roleFor(checked))
  await request.assertJobs(route.job?.(checked))
  return checked
}

type Issue = z.core.$ZodIssue

function sentence(part: string, issue: Issue, value: unknown): string {
  const place = [part, ...issue.path.map(String)].join('.')
  if (issue.code === 'unrecognized_keys') {
    return `${place}: unknown ${issue.keys.map((key) => describe(key)).join(', ')}`
  }
  const found = issue.path.reduce<unknown>((at, key) => valueAt(at, key), value)
  return `${place}: got ${describe(found)}; ${issue.message.replace(/^Invalid input: /, '')}`
}

function valueAt(value: unknown, key: PropertyKey): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<PropertyKey, unknown>)[key]
    : undefined
}
