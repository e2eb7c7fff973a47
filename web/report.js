// Shows the report of a Likeness node below it, in both renderers, without saving it in the workflow.
import { app } from "../../scripts/app.js";

const WIDGET = "likeness_report";
const MIN_HEIGHT = 64;

function reportWidget(node) {
  const existing = node.widgets?.find((widget) => widget.name === WIDGET);
  if (existing) return existing;
  const element = document.createElement("textarea");
  element.readOnly = true;
  element.spellcheck = false;
  element.setAttribute("aria-label", "report");
  Object.assign(element.style, {
    resize: "none",
    width: "100%",
    height: "100%",
    minHeight: `${MIN_HEIGHT}px`,
    boxSizing: "border-box",
    padding: "6px 8px",
    border: "none",
    borderRadius: "6px",
    fontSize: "11px",
    lineHeight: "1.45",
    background: "var(--comfy-input-bg)",
    color: "var(--descrip-text)",
  });
  element.addEventListener("wheel", (event) => {
    if (element.scrollHeight > element.clientHeight) event.stopPropagation();
  });
  const widget = node.addDOMWidget(WIDGET, "likeness_report", element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => MIN_HEIGHT,
    getValue: () => element.value,
    setValue: (value) => {
      element.value = value ?? "";
    },
  });
  widget.serialize = false;
  widget.options.serialize = false;
  const wanted = node.computeSize();
  node.setSize([Math.max(node.size[0], wanted[0]), Math.max(node.size[1], wanted[1])]);
  return widget;
}

function showReport(node, output) {
  if (output?.text?.length) reportWidget(node).value = output.text.join("\n");
}

app.registerExtension({
  name: "Likeness.Report",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith("Likeness")) return;
    const onExecuted = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      onExecuted?.call(this, output);
      showReport(this, output);
    };
  },
});
