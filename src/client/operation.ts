/** The method, the path below `/api/v1`, and the names that go into the query although the request has a body. */
export type Operation = readonly [method: string, path: string, inQuery?: readonly string[]]
