/**
 * The error of a call: the server's own error, or the reason why there is no valid response.
 *
 * `code` is one of `docs/errors.md`, or one of three codes of the client. `UNREACHABLE`: no response arrived, or a stream broke off.
 * `TIMEOUT`: the response took too long. `ANSWER_INVALID`: the response is not one of Piko's.
 */
export class PikoError extends Error {
  override readonly name = 'PikoError'
  readonly code: string
  /** The HTTP status; undefined without a response. */
  readonly status: number | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: string,
    message: string,
    options: {
      readonly status?: number
      readonly details?: Readonly<Record<string, unknown>>
      readonly cause?: unknown
    } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.status = options.status
    this.details = options.details ?? {}
  }
}

interface Problem {
  readonly code: string
  readonly detail: string
  readonly details?: Readonly<Record<string, unknown>>
}

/** Reads the error from a response. Never throws. */
export async function errorOf(response: Response): Promise<PikoError> {
  const { status } = response
  const text = await response.text().catch(() => '')
  const problem = problemIn(text)
  if (problem) return new PikoError(problem.code, problem.detail, { status, details: problem.details ?? {} })
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text
  return new PikoError('ANSWER_INVALID', `${response.url} answered ${status}: ${shown || response.statusText}`, {
    status,
  })
}

function problemIn(text: string): Problem | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    const { code, detail } = value as Partial<Problem>
    return typeof code === 'string' && typeof detail === 'string' ? (value as Problem) : undefined
  } catch {
    // The response is not JSON. Probably a proxy has sent it.
    return undefined
  }
}
