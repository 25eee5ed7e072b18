// A formula in MathML that the server wrote; nothing but MathML of it reaches the page.

import { useLayoutEffect, useRef } from "preact/hooks";

const NAMESPACE = "http://www.w3.org/1998/Math/MathML";
const KEPT = new Set([
  "display", "stretchy", "fence", "form", "mathvariant", "columnalign", "accent", "separator", "lspace", "rspace",
  "movablelimits",
]);

function copied(element: Element): Element | null {
  if (element.namespaceURI !== NAMESPACE) return null;
  const made = document.createElementNS(NAMESPACE, element.localName);
  for (const { name, value } of element.attributes) if (KEPT.has(name)) made.setAttribute(name, value);
  for (const child of element.childNodes) {
    if (child instanceof Text) made.append(child.data);
    else if (child instanceof Element) made.append(...[copied(child)].filter((one) => one !== null));
  }
  return made;
}

export function Formula({ mathml, block = false }: { mathml: string; block?: boolean }) {
  const place = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    const made = copied(new DOMParser().parseFromString(mathml, "application/xml").documentElement);
    place.current!.replaceChildren(...(made ? [made] : []));
  }, [mathml]);
  return <span ref={place} class={block ? "formula block" : "formula"} />;
}
