use crate::args::DemoArgs;
use crate::failure::Result;
use crate::printer::Printer;
pub(crate) fn run(_args: &DemoArgs, _printer: &Printer) -> Result<()> { Ok(()) }
