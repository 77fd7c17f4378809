using BackendSystems.Faults;
using BackendSystems.Webhooks;
using SoapCore;

namespace BackendSystems.Erp;

public static class ErpEndpoints
{
    public static void MapErp(this IEndpointRouteBuilder routes)
    {
        ArgumentNullException.ThrowIfNull(routes);
        var soap = routes.CreateApplicationBuilder();
        soap.Use(ErpEnvelope.CheckAsync);
        soap.UseSoapEndpoint<OrderService>(options =>
        {
            options.Path = ErpSetup.Path;
            options.SoapSerializer = SoapSerializer.XmlSerializer;
            options.IndentXml = false;
            options.EncoderOptions = [new SoapEncoderOptions()];
        });
        routes.Map(ErpSetup.Path, soap.Build());
        routes.MapSimulation("/erp/simulate/advance", routes.ServiceProvider.GetRequiredService<ErpStore>().AdvanceAsync);
        routes.MapWebhooks(ErpSetup.Name);
        routes.MapFaults(ErpSetup.Name);
    }
}
