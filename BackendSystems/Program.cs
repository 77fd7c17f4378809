using BackendSystems.Crm;
using BackendSystems.Erp;
using BackendSystems.Faults;
using BackendSystems.Pim;
using BackendSystems.Wms;
using Dapper;
using MobileIntegration.ServiceDefaults;

return await ServiceProcess.RunAsync(() =>
{
    DefaultTypeMap.MatchNamesWithUnderscores = true;
    var builder = WebApplication.CreateBuilder(args);
    builder.AddServiceDefaults();
    builder.AddSlices(
        new Slice("crm", CrmSetup.AddCrm, CrmEndpoints.MapCrm),
        new Slice("erp", ErpSetup.AddErp, ErpEndpoints.MapErp),
        new Slice("pim", PimSetup.AddPim, PimEndpoints.MapPim),
        new Slice("wms", WmsSetup.AddWms, WmsEndpoints.MapWms));

    var app = builder.Build();
    app.MapDefaultEndpoints();
    app.UseFaults();
    app.MapSlices();
    return app;
});
