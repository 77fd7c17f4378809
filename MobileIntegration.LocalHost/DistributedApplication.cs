namespace MobileIntegration.LocalHost
{
    public class DistributedApplication;
}

namespace MobileIntegration.LocalHost.ApplicationModel
{
    public interface IResource;
}

namespace MobileIntegration.LocalHost.Testing
{
    public static class DistributedApplicationTestingBuilder;
}
