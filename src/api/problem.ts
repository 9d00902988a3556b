import { z } from 'zod'
import { ERROR_CODES, type ErrorCode } from '../errors.ts'

/** The media type of the API's error responses. */
export const PROBLEM_TYPE = 'application/problem+json'

/** The body of an error response: problem details as in RFC 9457. */
export const problem = z.object({
  type: z.string().meta({ description: '`urn:piko:error:` and the code.' }),
  title: z.string().meta({ description: 'What the status means.' }),
  status: z.number().int(),
  code: z.enum(ERROR_CODES).meta({ description: 'Stable. docs/errors.md lists each with its cause and remedy.' }),
  detail: z.string().meta({ description: 'What is wrong, and what to do next.' }),
  details: z.record(z.string(), z.unknown()).optional().meta({ description: 'The values that are wrong.' }),
})

export type Problem = z.output<typeof problem>

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Not authenticated',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  408: 'The request did not arrive in time',
  409: 'Conflict with the current state',
  413: 'Too large',
  414: 'The address is too long',
  415: 'The media type is not supported',
  421: 'Wrong host',
  422: 'Refused by a schema',
  429: 'Too many requests',
  431: 'The headers are too large',
  500: 'Internal error',
  501: 'Not installed',
  502: 'Another server failed',
  503: 'Not available now',
  504: 'Took too long',
}

export function problemOf(
  status: number,
  code: ErrorCode,
  detail: string,
  details?: Readonly<Record<string, unknown>>,
): Problem {
  const hasDetails = details !== undefined && Object.keys(details).length > 0
  return {
    ...{ type: `urn:piko:error:${code}`, title: TITLES[status] ?? 'Error', status, code, detail },
    ...(hasDetails && { details }),
  }
}
