/** A noun that is a function too: its own class has the verbs. */
export abstract class Callable {
  constructor(call: (...args: never[]) => unknown) {
    // What a constructor returns becomes the instance, so it also gets the private fields of the class.
    return Object.setPrototypeOf(call, new.target.prototype) as Callable
  }
}
