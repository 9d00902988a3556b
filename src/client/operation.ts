/** The method, the path below `/api/v1`, and the names of fields that belong in the query even though the request has a body. */
export type Operation = readonly [method: string, path: string, inQuery?: readonly string[]]
